"""Spoken forms of amounts with names that CLDR knows: dates, times, prices, measures."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from voxmill.operators.reconcile import unit_names as measures
from voxmill.operators.reconcile.figures import Plain, SpokenFigures
from voxmill.operators.reconcile.readings import Piece, readings

MONEY = r"(?:US|A|C|R|HK|NZ)?\$|[€£¥₹₩₽₺₪฿₴₫]"
_SCALES = ("million", "billion", "trillion", "thousand", "hundred")


class Amounts(SpokenFigures):
    """Spoken forms of dates, times, prices and measures in one language, from CLDR and `spoken.yaml`."""

    def __init__(self, language: str | None, plain: Plain) -> None:
        super().__init__(language, plain)
        self.months = measures.months(self.language) if self.language else {}
        self._scales = "|".join((*_SCALES, *self.row.get("scales", ())))
        self._amount = regex.compile(self._figure)

    def _date(self, said: str) -> list[Piece]:
        parts = regex.findall(r"\d+", said)
        if len(parts[0]) == 4:
            year, month, day = parts
        elif self.language == "en" and "/" in said and int(parts[0]) < 13:
            month, day, year = parts
        else:
            day, month, year = parts
        if not 0 < int(month) < 13 or not 0 < int(day) < 32 or self.numbers is None or not (self.months or "date" in self.row):
            return [self._say(self.integer(part), part) for part in parts]
        if "date" in self.row:  # where the year comes first
            ways = [
                str(self.row["date"]).format(y=y, m=m, d=d)
                for y in self.integer(year) for m in self.numbers.cardinal(int(month))[:2] for d in self.numbers.cardinal(int(day))[:2]
            ]  # fmt: skip
            return [self._say(ways, said)]
        return [self.dated(int(day), measures.month_name(int(month), self.language)), self._say(self.integer(year), year)]

    def dated(self, day: int, month: str) -> Piece:
        """Spoken forms of a day and month."""
        assert self.numbers is not None
        days = [*self.numbers.ordinal(day), *self.numbers.cardinal(day)]
        return self._say([f"{one} {month}" for one in days], f"{day} {month}")

    def _time(self, said: str) -> list[Piece]:
        hour, minute, *rest = regex.findall(r"\d+", said)
        if self.numbers is None or int(minute) > 59:
            return [self._say(self.integer(part), part) for part in (hour, minute, *rest)]
        texts = list(dict.fromkeys(self.clock(int(hour), minute)))
        return [self._say(texts, said), *(self._say(self.integer(part), part) for part in rest)]

    def clock(self, hour: int, minute: str) -> list[str]:
        """Spoken forms of a time of day."""
        assert self.numbers is not None
        names = self.row.get("hour", {"at": ["{h} {m}"], "zero": ["{h}"]})
        hours, nexts = self.numbers.cardinal(hour), self.numbers.cardinal(hour % 12 + 1)
        if minute == "00":
            later = [f"{pm}{one}" for pm in names.get("pm", ()) if hour > 12 for one in self.clock(hour - 12, minute)]
            return [p.format(h=h) for p in names["zero"] for h in hours] + later
        minutes = list(self.numbers.cardinal(int(minute)))
        if minute[0] == "0":
            minutes += self.numbers.digits(minute)
        extra = {"30": names.get("half", ()), "15": names.get("quarter", ()), "45": names.get("to_quarter", ())}.get(minute, ())
        found = [p.format(h=h, m=m) for p in names["at"] for h in hours for m in minutes]
        on_dial = [*hours, *(self.numbers.cardinal(hour - 12) if hour > 12 else ())]
        found += [p.format(h=h, next=n) for p in extra for h in on_dial for n in nexts]
        if hour > 12:
            found += [f"{pm}{one}" for pm in names.get("pm", ()) for one in self.clock(hour - 12, minute)]
        if hour in (0, 12, 24):
            noon = names.get("noon" if hour == 12 else "midnight", ())
            found += [p.format(h=h, next=n) for p in extra if "{h}" in p for h in noon for n in nexts[:1]]
            found += [p.format(h=h, m=m) for p in names["at"][:1] for h in noon for m in minutes]
        if int(minute) > 30:
            left = self.numbers.cardinal(60 - int(minute))
            found += [p.format(m=m, next=n) for p in names.get("to", ()) for m in left for n in nexts]
        else:
            found += [p.format(m=m, h=h) for p in names.get("past", ()) for m in minutes for h in on_dial]
        return found

    def _halfscale(self, said: str) -> list[Piece]:
        """`3,5 millions`: a half may be said after the scale."""
        amount, scale = said.split()
        whole = regex.split("[.,]", amount)[0]
        found = [f"{one} {scale}" for one in self.value(amount)]
        return [self._say([*found, *(f"{one} {scale} {self.row['scale_half']}" for one in self.integer(whole))], said)]

    def _dash(self, said: str) -> list[Piece]:
        """The dash of a range of times or percentages: `3:30-4:30`, `5%-10%`."""
        between = [self.words(word) for word in self.row.get("range", ())]
        return [readings(*between)] if between else []

    def _money(self, said: str) -> list[Piece]:
        match = self._amount.search(said)
        assert match is not None
        scale = regex.search(rf"(?:{self._scales})s?\b", said[match.end() :])
        rest = said[match.end() :] if scale is None else said[match.end() :].replace(scale[0], " ", 1)
        symbol = regex.search(rf"{MONEY}|\p{{L}}+\.?", said[: match.start()] + " " + rest)
        assert symbol is not None
        sign = (
            [self._say(self.row.get("minus") or (self.numbers.minus() if self.numbers else ()), "-")] if said[0] in "-−" else []
        )
        names = self.currency(symbol[0])
        texts = self.price(match[0], symbol[0], names, scale[0] if scale else "")
        return [*sign, self._say(texts, said)]

    def currency(self, symbol: str) -> list[str]:
        """Names of a currency sign or code, plural first: most amounts are not 1."""
        plain = {"US$": "$", "A$": "AUD", "C$": "CAD", "R$": "BRL", "HK$": "HKD", "NZ$": "NZD"}.get(symbol, symbol)
        money = self.row.get("money", {})
        own = list(money.get(symbol, money.get(plain, ())))
        known = measures.currency(plain, self.language) if self.language else ()
        return list(dict.fromkeys([*own, *known[1:2], *known]))  # the plural first: most amounts are not 1

    def price(self, amount: str, symbol: str, names: Sequence[str], scale: str) -> list[str]:
        """Spoken forms of a price: whole, as a decimal, or with cents."""
        if self.numbers is None or not names:
            return []
        whole, part = self.parts(amount)
        gap = f" {scale} " if scale else " "
        values = self.quantity(amount)
        if scale and whole == "1" and "one" in self.row:
            values = [*values, str(self.row["one"])]
        found = [f"{value}{gap}{name}" for value in values for name in names]
        found += [f"{value}{gap}{of}{name}" for of in self.row.get("of", ()) if scale for value in values for name in names]
        if whole == "1" and part is None and not scale:
            found += [f"{self.row['one']} {name}" for name in names if "one" in self.row]
        if part is not None and len(part) == 2 and not scale:
            head, rest = self.quantity(whole or "0")[:3], list(self.numbers.cardinal(int(part)))
            if part[0] == "0":
                rest += list(self.numbers.digits(part))
            cents = self.row.get("cents", {}).get(symbol, [])
            join = [*self.symbols.get("&", [])[:1], ""]
            if part == "00":
                return [f"{value} {name}" for value in head for name in names]
            for name in names:
                found += [f"{value} {name} {one}" for value in head for one in rest]
                found += [f"{value} {name} {j} {one} {cent}" for value in head for one in rest for j in join for cent in cents]
                found += [f"{value} {name} {j} {one}" for value in head for one in rest for j in self.row.get("with", ())]
                found += [
                    f"{value} {name} {j} {one} {cent}"
                    for value in head for one in rest for j in self.row.get("with", ()) for cent in cents
                ]  # fmt: skip
            if whole.strip("0") == "":
                found += [f"{one} {cent}" for one in rest for cent in cents]
        return found

    def _moneyrange(self, said: str) -> list[Piece]:
        """`$5-10`, `$5-$10`: the name of the money may be said once or twice."""
        first, second = (match[0] for match in self._amount.finditer(said))
        symbol = regex.search(MONEY, said)
        assert symbol is not None
        names = [self.words(name) for name in self.currency(symbol[0])]
        between = [self.words(word) for word in self.row.get("range", ())] or [()]
        once = readings((), *names)
        return [
            self._say(self.quantity(first), first),
            once,
            readings(*between),
            self._say(self.quantity(second), second),
            readings(*names or [(symbol[0],)]),
        ]

    def _measure(self, said: str) -> list[Piece]:
        match = self._amount.search(said)
        assert match is not None
        symbol = said[match.end() :].strip()
        symbol = self.row.get("aliases", {}).get(symbol, symbol)
        own = self.row.get("units", {}).get(symbol, self.row.get("units", {}).get(symbol.casefold(), []))
        if symbol in "°%":
            own = [*own, *self.symbols.get(symbol, [])]
        elif symbol.casefold() == "°c" and self.language != "en":  # the scale goes without saying
            own = [*own, *self.symbols.get("°", [])]
        if symbol.isalpha():
            own = [*own, symbol]  # some say it as it is written: `four g`
        around = [("", name) for name in own]
        around = [*(measures.unit(symbol, self.language) if self.language else ()), *around]
        sign = said[: match.start()].strip()
        value = self.quantity(match[0])
        if not around and "/" in symbol:
            return [*self._sign(sign), self._say(value, match[0]), self._say(self._each(symbol), symbol)]
        if not around:
            name = self.symbols.get(symbol)
            after = self._say(name, symbol) if name else self._say((), symbol)
            return [*self._sign(sign), self._say(value, match[0]), after]
        if not any(before for before, _ in around):
            afters = [after for _, after in around]
            if match[0] != "1":
                afters = [*afters[1:2], *afters]
            return [*self._sign(sign), self._say(value, match[0]), self._say(afters, symbol)]
        return [*self._sign(sign), self._say([f"{b} {one} {a}" for one in value for b, a in around], said)]

    def _each(self, symbol: str) -> list[str]:
        """`mg/dl` of two units that CLDR knows alone: milligrams per deciliter."""
        much, each = ([name for _, name in measures.unit(one, self.language)] for one in symbol.split("/", 1))
        return [f"{one} {per} {two}" for one in (*much[1:2], *much) for per in self.row.get("per", ()) for two in each[:1]]
