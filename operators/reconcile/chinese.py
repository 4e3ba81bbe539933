"""Spoken forms of Chinese: numbers by wetext, and the readings that it does not give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache

import regex

from voxmill.operators.reconcile.figures import Plain, table
from voxmill.operators.reconcile.readings import Piece, readings
from voxmill.operators.reconcile.written import Writing

_SPOKEN_OTHERWISE = regex.compile(r"[A-Za-z]{0,20}.{0,4}[\d儿](?:.{0,8}[\d儿]){0,24}.{0,4}[A-Za-z]{0,20}")
"""A digit or an erhua with its surroundings: the transducers are slow, so they see no more of the text."""
_POINT_FIRST = regex.compile(r"(?<![\d.A-Za-z])\.(?=\d)")
_DIGITS = "零一二三四五六七八九"
_SYMBOL = regex.compile(r"(?<=[A-Za-z])\+\+|[&+=@#×÷](?!\d)|(?<!\d)[&+=@×÷]|[+=×÷](?=\d)|°")
_SIGNS = regex.compile(r"[A-Za-z]\+\+|[A-Za-z]#|[&+=@×÷]")
_CLOCK = regex.compile(r"(?<![\d:.])(\d{1,2})[::](\d{2})(?![\d:])")
_HALF = regex.compile(r"(?<=\d\s?)[点时]\s?30分?(?!\d)")
_QUARTER = regex.compile(r"(?<=\d\s?)[点时]\s?(?:15|45)分?(?!\d)")
_MINUS = regex.compile(r"(?<![\d\p{L}])[-−](?=\d)|(?<=[\p{Han}])[-−](?=\d+(?:\.\d+)?\s?(?:°|度|℃))")
_CELSIUS = regex.compile(r"(\d+(?:\.\d+)?)\s?(?:°\s?C|℃)", regex.IGNORECASE)
_FAHRENHEIT = regex.compile(r"(\d+(?:\.\d+)?)\s?(?:°\s?F|℉)", regex.IGNORECASE)
_DEGREE = regex.compile(r"(\d+(?:\.\d+)?)\s?°")
_MONEY = regex.compile(
    r"(?:[¥¥]|RMB|CNY)\s?(\d[\d,]*(?:\.\d+)?)(万|亿)?(?!\d)|(\d[\d,]*(?:\.\d+)?)(万|亿)?\s?(?:[元块](?!钱)|RMB|人民币)",
    regex.IGNORECASE,
)
_FOREIGN = regex.compile(r"([$€£])\s?(\d[\d,]*(?:\.\d+)?)(万|亿)?(?!\d)")
_FOREIGN_NAME = {"$": "美元|美金", "€": "欧元", "£": "英镑"}
_BARE = regex.compile(r"(?<![\d.,:/-])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,16}(?:\.\d+)?)(?![\d.,:/]*\d)")
_FIGURE = regex.compile(r"\d")
_SHARE = regex.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s?%")
_FRACTION = regex.compile(r"(?<![\d./])(\d{1,3})/(\d{1,3})(?![\d./])")
_RANGE = regex.compile(r"(?<![\d.-])(\d+(?:\.\d+)?%?)\s?[-~–—]\s?(\d+(?:\.\d+)?%?)(?![\d-])")
_PERCENT = regex.compile(r"(?<![\d.,])100%")
_SCALED = regex.compile(r"(\d+\.\d+)\s?(万|亿)")
_DAY = regex.compile(r"(?<=月\d{1,2})日")
_TELEPHONE = regex.compile(r"(?<![\d.])\+?\d{2,4}(?:[-\s]\d{3,8}){1,3}(?![\d.])")
_TALL = regex.compile(r"(?<![\d.])(\d{1,2})(?:\.|\s?米\s?|\s?[mM]\s?)(\d{2})(?:\s?[米mM](?![A-Za-z/²^]))?(?![\d.])")
_AND_HALF = regex.compile(r"(?<![\d.])(\d+)\.5(个?)(小时|钟头|星期|世纪|公里|公斤|\p{Han})")
_SHARES = regex.compile(r"(?<![\d.])(\d+(?:\.\d+)?)%?\s?(?:[-~–—]|到|至)\s?(\d+(?:\.\d+)?)%")
_UNSAID = regex.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s?‰|√(?=\d)|[<>](?=\s?[\d-])")
"""Signs that wetext drops."""
_MIXED = regex.compile(r"(?<![\d./])(\d{1,6})\s(\d{1,3})/(\d{1,3})(?![\d./])")
_MATHS = regex.compile(r"[×*](?=\s?\d)|(?<![mM])\^[23](?!\d)")
_MATHS_SAID = {
    "×": ("乘", "乘以"),
    "*": ("乘", "乘以"),
    "^2": ("的平方", "平方"),
    "^3": ("的立方", "立方"),
}
_FINANCIAL = regex.compile(r"[零壹贰叁肆伍陆柒捌玖拾佰仟万亿]{2,}")
_SAME_FIGURE = str.maketrans("壹贰叁肆伍陆柒捌玖拾佰仟", "一二三四五六七八九十百千")
_RING = regex.compile(r"(?<=[一二三四五六七八九零〇])[○◯](?=[一二三四五六七八九零〇○◯])")
_SCORE = regex.compile("[廿卅]")
_KILOS = {"km/h": "公里每小时|千米每小时|每小时N公里|时速N公里", "km": "公里|千米", "kg": "公斤|千克", "cm": "厘米|公分", "mm": "毫米", "ml": "毫升",
          "m^2": "平方米|平米|平方", "km^2": "平方公里|平方千米", "cm^2": "平方厘米", "m^3": "立方米|立方|方", "cm^3": "立方厘米", "m/s": "米每秒|每秒N米",
          "hz": "赫兹|赫", "khz": "千赫|千赫兹", "mhz": "兆赫|兆赫兹", "ghz": "吉赫|吉赫兹|G赫兹", "kb": "KB|千字节|K", "mb": "MB|兆|兆字节", "gb": "GB|G|吉字节",
          "tb": "TB|T|太字节", "v": "伏|伏特", "kv": "千伏", "ma": "毫安", "mah": "毫安时|毫安", "a": "A|安|安培", "w": "瓦|瓦特", "kw": "千瓦", "kwh": "千瓦时|度",
          "t": "吨", "ha": "公顷", "dm": "分米", "μm": "微米", "nm": "纳米", "μg": "微克", "min": "分钟", "h": "小时", "s": "秒", "ms": "毫秒", "db": "分贝", "kcal": "千卡|大卡",
          "m": "米", "g": "克", "mg": "毫克", "l": "升", "%": ""}  # fmt: skip
_MEASURE = regex.compile(
    rf"(\d[\d,]*(?:\.\d+)?)\s?({'|'.join(sorted((regex.escape(u) for u in _KILOS if u != '%'), key=len, reverse=True))})(?![A-Za-z/])",
    regex.IGNORECASE,
)
_YEAR = regex.compile(f"[{_DIGITS}〇]{{2,}}")
_HUNDREDS = ((100, "百"), (1000, "千"), (10_000, "万"))


class Chinese(Writing):
    """Turns stretches with digits into spoken Chinese, with all readings of their numbers, times and prices."""

    def __init__(self, simplified: Callable[..., str], spoken: Callable[[str], str], plain: Plain) -> None:
        super().__init__("zh", plain)
        self._simplified, self._spoken = simplified, spoken
        self._read = lru_cache(1 << 14)(self._window)
        self._said_for = table()["zh"]["symbols"]

    def pieces(self, text: str) -> list[Piece]:
        """See `Writing.pieces`."""
        text = self._simplified(_POINT_FIRST.sub("0.", text), traditional_to_simple=True)
        text = _UNSAID.sub(lambda m: f"千分之{m[1]}" if m[1] else {"√": "根号", "<": "小于", ">": "大于"}[m[0]], text)
        text = _FINANCIAL.sub(lambda m: m[0].translate(_SAME_FIGURE), _RING.sub("零", text))
        text = _SCORE.sub(lambda m: {"廿": "二十", "卅": "三十"}[m[0]], text)
        found: list[Piece] = []
        at = 0
        for match in _SPOKEN_OTHERWISE.finditer(text):
            found.extend(self._running(text[at : match.start()]))
            found.extend(self._read(match[0]))
            at = match.end()
        found.extend(self._running(text[at:]))
        return found

    def _running(self, text: str) -> list[Piece]:
        """Text without digits; its signs are spoken: `C++`, `&`."""
        found: list[Piece] = []
        at = 0
        for match in _SIGNS.finditer(text):
            found.extend(self._plain(text[at : match.start()]))
            for sign in match[0]:
                found.extend(self._plain(sign) if sign.isalpha() else [self._say(self._said_for.get(sign, ()), sign)])
            at = match.end()
        found.extend(self._plain(text[at:]))
        return found

    def _window(self, text: str) -> tuple[Piece, ...]:
        """A stretch with digits: the part that differs between its readings becomes one piece, the rest words."""
        spoken = [
            one for one in self._variants(text) if not _FIGURE.search(one)
        ]  # the library is slow: it reads the text, not its variants
        said = list(dict.fromkeys(self._with_signs(one) for one in (self._spoken(text), *map(self._without_erhua, spoken))))
        if len(said) == 1:
            return said[0]
        start = _common(said)
        end = _common([one[start:][::-1] for one in said])
        middle = readings(*(one[start : len(one) - end] for one in said))
        return (*said[0][:start], middle, *said[0][len(said[0]) - end :])

    def _without_erhua(self, text: str) -> str:
        return self._spoken(text) if "儿" in text else text

    def _with_signs(self, text: str) -> tuple[str, ...]:
        found: list[str] = []
        for piece in self._running(text):
            found.extend([piece] if isinstance(piece, str) else piece[0])
        return tuple(found)

    def _variants(self, text: str) -> Iterator[str]:
        """The window as it is, and with one or all of its expressions written out."""
        texts = [text]
        for find, ways in self._expressions():
            grown = []
            for one in texts:
                matches = list(find.finditer(one))
                several = [one]
                for match in reversed(matches):
                    several = [s[: match.start()] + way + s[match.end() :] for way in ways(match) for s in several][:24]
                grown += several
            texts = list(dict.fromkeys(grown))[:48]
        return iter(texts)

    def _expressions(self) -> Sequence[tuple[regex.Pattern[str], Callable[[regex.Match[str]], Sequence[str]]]]:
        return (
            (_TELEPHONE, lambda m: (digits(regex.sub(r"\D", "", m[0])),)),
            (_CLOCK, _clock),
            (_SHARES, lambda m: tuple(f"百分之{m[1]}{to}{share}{m[2]}" for to in "到至" for share in ("百分之", ""))),
            (_MIXED, lambda m: (f"{m[1]}又{m[3]}分之{m[2]}",)),
            (_TALL, lambda m: (m[0], f"{m[1]}米{digits(m[2])}")),
            (_AND_HALF, _and_half),
            (_MATHS, lambda m: _MATHS_SAID[m[0]]),
            (_HALF, lambda m: (m[0], "点半")),
            (_QUARTER, lambda m: (m[0], "点一刻" if "15" in m[0] else "点三刻")),
            (_MINUS, lambda m: ("负", "零下")),
            (_CELSIUS, lambda m: (f"{m[1]}摄氏度", f"摄氏{m[1]}度", f"{m[1]}度")),
            (_FAHRENHEIT, lambda m: (f"{m[1]}华氏度", f"华氏{m[1]}度")),
            (_DEGREE, lambda m: (f"{m[1]}度",)),
            (_DAY, lambda m: ("日", "号")),
            (_FOREIGN, lambda m: tuple(f"{m[2]}{m[3] or ''}{name}" for name in _FOREIGN_NAME[m[1]].split("|"))),
            (_MONEY, _yuan),
            (_MEASURE, _measure),
            (_PERCENT, lambda m: (m[0], "百分之百")),
            (_SHARE, lambda m: (f"百分之{m[1]}",)),
            (_FRACTION, lambda m: (f"{m[2]}分之{m[1]}",)),
            (_SCALED, _scaled),
            (_RANGE, lambda m: (f"{m[1]}到{m[2]}", f"{m[1]}至{m[2]}")),
            (_BARE, self._bare),
        )

    def _bare(self, match: regex.Match[str]) -> Sequence[str]:
        """A number as a quantity and digit by digit; 120 is also 一百二."""
        whole, _, part = match[1].replace(",", "").partition(".")
        if (whole[0] == "0" and len(whole) > 1) or len(whole) > 13:
            return (digits(whole),)
        number = int(whole)
        quantity = [one for one in self.numbers.cardinal(number) if not _YEAR.fullmatch(one)] if self.numbers else []
        quantity = list(dict.fromkeys(one.replace("一十", "十") if one.startswith("一十") else one for one in quantity))
        quantity += [one.replace("兆", "万亿") for one in quantity if "兆" in one]
        if part:
            return [f"{one}点{digits(part)}" for one in quantity[:1]]
        if len(whole) < 3:
            return (
                [*quantity, digits(whole)]
                if match.string[match.end() : match.end() + 1] == "年"
                else quantity or [digits(whole)]
            )
        return list(dict.fromkeys((*quantity, digits(whole), *_short(number))))


def _common(rows: Sequence[Sequence[str]]) -> int:
    count = 0
    for column in zip(*rows, strict=False):
        if len(set(column)) > 1:
            break
        count += 1
    return count


def digits(string: str) -> str:
    """Digit by digit: `120` is 一二零."""
    return "".join(_DIGITS[int(one)] for one in string)


def _short(number: int) -> list[str]:
    """一百二, 三千五, 两万五: the last unit is left out."""
    for scale, name in _HUNDREDS:
        whole, rest = divmod(number, scale)
        if 0 < whole < 10 and rest and rest % (scale // 10) == 0:
            return [f"{_DIGITS[whole]}{name}{_DIGITS[rest * 10 // scale]}"]
    return []


def _clock(match: regex.Match[str]) -> tuple[str, ...]:
    hour, minute = str(int(match[1])), match[2]
    name = "两" if hour == "2" else hour
    if minute == "00":
        names = [name]
        if 12 < int(hour) < 24:  # 六点 is both afternoon and evening
            parts = ("下午",) * (int(hour) < 19) + ("晚上",) * (int(hour) > 17)
            names += [f"{part}{'两' if hour == '14' else int(hour) - 12}" for part in parts]
        return tuple(f"{one}{zero}" for one in names for zero in ("点", "点整", "点钟"))
    if int(minute) > 59:
        return (f"{hour}比{int(minute)}",)
    said = f"{int(minute)}" if minute[0] != "0" else f"零{int(minute)}"
    found = [f"{name}点{said}分", f"{name}点{said}"]
    if minute[0] == "0":
        found.append(f"{name}点{int(minute)}分")
    if 12 < int(hour) < 24:  # `下午两点四十五分` for 14:45
        dial = "两" if hour == "14" else str(int(hour) - 12)
        quarter = {"30": "半", "15": "一刻", "45": "三刻"}.get(minute)
        tails = (f"{said}分", said, *([quarter] if quarter else ()))
        found += [f"{part}{dial}点{tail}" for part in (("下午",) if int(hour) < 18 else ("晚上", "下午")) for tail in tails]
    if int(minute) > 44:
        found += [f"{int(hour) % 24 + 1}点差{60 - int(minute)}分", f"差{60 - int(minute)}分{int(hour) % 24 + 1}点"]
    found += {"30": [f"{name}点半"], "15": [f"{name}点一刻"], "45": [f"{name}点三刻"]}.get(minute, [])
    return tuple(found)


def _and_half(match: regex.Match[str]) -> tuple[str, ...]:
    """`两斤半`, `两个半小时`."""
    number = "两" if match[1] == "2" else match[1]
    return (match[0], f"{number}{match[2]}{match[3]}半", f"{number}个半{match[3]}")


def _yuan(match: regex.Match[str]) -> tuple[str, ...]:
    """So many 元 or 块; with parts 五块五, 五元五角."""
    amount, scale = (match[1] or match[3]).replace(",", ""), match[2] or match[4] or ""
    written = "块" if "块" in match[0] else "元"
    found = [f"{amount}{scale}{name}" for name in dict.fromkeys((written, "元", "块", "块钱"))]
    whole, _, part = amount.partition(".")
    if part and not scale:
        tenths, cents = int(part[0]), int(part[1]) if len(part) == 2 else 0
        if whole == "0" and not cents:
            found += [f"{_DIGITS[tenths]}{name}" for name in ("角", "毛", "毛钱")]
        if tenths and not cents:
            found += [f"{whole}块{_DIGITS[tenths]}", f"{whole}块{_DIGITS[tenths]}毛", f"{whole}元{_DIGITS[tenths]}角"]
            found += [f"{whole}块{_DIGITS[tenths]}毛钱", f"{amount.rstrip('0')}元"]
        elif tenths and len(part) == 2:
            tail = _DIGITS[tenths], _DIGITS[cents]
            found += [
                f"{whole}块{tail[0]}毛{tail[1]}",
                f"{whole}元{tail[0]}角{tail[1]}分",
                f"{whole}块{tail[0]}{tail[1]}",
                f"{whole}块{tail[0]}毛{tail[1]}分",
            ]
        elif not tenths and not cents:
            found += [f"{whole}元", f"{whole}块", f"{whole}块钱"]
    return tuple(found)


def _scaled(match: regex.Match[str]) -> tuple[str, ...]:
    """2.5万 as it stands, and as 25000."""
    exact = Decimal(match[1]) * {"万": 10**4, "亿": 10**8}[match[2]]
    return (match[0], str(int(exact))) if exact == int(exact) else (match[0],)


def _measure(match: regex.Match[str]) -> tuple[str, ...]:
    number, names = match[1], _KILOS[match[2].casefold()]
    return tuple(name.replace("N", number) if "N" in name else number + name for name in names.split("|"))
