"""Names of units, currencies and months in a language, from the Unicode CLDR (babel)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

UNITS = {
    "%": "concentr-percent", "‰": "concentr-permille", "°": "angle-degree", "°c": "temperature-celsius", "°f": "temperature-fahrenheit",
    "km": "length-kilometer", "m": "length-meter", "dm": "length-decimeter", "cm": "length-centimeter", "mm": "length-millimeter",
    "μm": "length-micrometer", "nm": "length-nanometer", "mi": "length-mile", "yd": "length-yard", "ft": "length-foot", "in": "length-inch",
    "kg": "mass-kilogram", "g": "mass-gram", "mg": "mass-milligram", "μg": "mass-microgram", "lb": "mass-pound", "lbs": "mass-pound",
    "oz": "mass-ounce", "t": "mass-tonne", "l": "volume-liter", "ml": "volume-milliliter", "cl": "volume-centiliter",
    "dl": "volume-deciliter", "km/h": "speed-kilometer-per-hour", "kmh": "speed-kilometer-per-hour", "kph": "speed-kilometer-per-hour",
    "mph": "speed-mile-per-hour", "m/s": "speed-meter-per-second", "kb": "digital-kilobyte", "mb": "digital-megabyte",
    "gb": "digital-gigabyte", "tb": "digital-terabyte", "hz": "frequency-hertz", "khz": "frequency-kilohertz",
    "mhz": "frequency-megahertz", "ghz": "frequency-gigahertz", "w": "power-watt", "kw": "power-kilowatt", "mw": "power-megawatt",
    "gw": "power-gigawatt", "kwh": "energy-kilowatt-hour", "v": "electric-volt", "ma": "electric-milliampere", "min": "duration-minute",
    "h": "duration-hour", "hr": "duration-hour", "hrs": "duration-hour", "std": "duration-hour", "s": "duration-second",
    "sec": "duration-second", "sek": "duration-second", "ms": "duration-millisecond", "ha": "area-hectare", "m^2": "area-square-meter",
    "km^2": "area-square-kilometer", "cm^2": "area-square-centimeter", "ft^2": "area-square-foot", "m^3": "volume-cubic-meter",
    "cm^3": "volume-cubic-centimeter", "px": "graphics-pixel", "kcal": "energy-kilocalorie", "cal": "energy-calorie",
    "hpa": "pressure-hectopascal", "kpa": "pressure-kilopascal", "bar": "pressure-bar", "mbar": "pressure-millibar", "gal": "volume-gallon",
}  # fmt: skip
"""Written units, in lower case, to their names in CLDR."""

CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₪": "ILS", "฿": "THB",
              "₴": "UAH", "₫": "VND", "zł": "PLN"}  # fmt: skip
CODES = ("USD", "EUR", "GBP", "JPY", "CNY", "INR", "KRW", "RUB", "TRY", "ILS", "CHF", "CAD", "AUD")
_SISTERS = {"USD": ("CAD", "AUD"), "GBP": ("EGP", "SYP"), "INR": ("PKR", "LKR"), "RUB": ("BYN",)}
"""Currencies that share the short name: dollar, pound, rupee."""
_COUNTS = (1, 2, 3, 5, 11, 21, 100, 1.5)
"""Numbers that together need every plural form of a language."""


@lru_cache(64)
def _locale(language: str) -> Any:
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        return None


@lru_cache(4096)
def unit(symbol: str, language: str) -> tuple[tuple[str, str], ...]:
    """Pairs of words before and after a number, in every plural form; empty where CLDR has no name."""
    from babel.units import format_unit

    name, locale = UNITS.get(symbol.casefold().replace("μ", "μ")), _locale(language)
    if name is None or locale is None:
        return ()
    found = []
    for count in _COUNTS:
        before, mark, after = _around(format_unit(count, name, length="long", locale=locale, numbering_system="latn"), count)
        if mark and not _symbols(before + after):
            found.append((before, after))
    return tuple(dict.fromkeys(found))


def _around(text: str, count: float) -> tuple[str, str, str]:
    written = [str(count), str(count).replace(".", ","), str(count).replace(".", "٫")]
    for number in written:
        if number in text:
            before, _, after = text.partition(number)
            return before.strip(), number, after.strip()
    return "", "", ""


def _symbols(text: str) -> bool:
    return any(one in text for one in "%٪°/") or not text


@lru_cache(1024)
def currency(symbol: str, language: str) -> tuple[str, ...]:
    """Names of a currency, the shortest first: `dollars`, `US dollars`."""
    from babel.numbers import get_currency_name

    code, locale = CURRENCIES.get(symbol, symbol.upper()), _locale(language)
    if locale is None:
        return ()
    names = tuple(dict.fromkeys(get_currency_name(code, count, locale) for count in _COUNTS))
    if code in _SISTERS:
        sisters = [get_currency_name(other, count, locale) for other in _SISTERS[code] for count in _COUNTS]
        shared = {word for name in sisters for word in name.replace("-", " ").split()}
        short = [word for name in names for word in name.replace("-", " ").split() if word in shared]
    else:
        short = [word for name in names for word in (name.split()[0], name.split()[-1]) if len(name.split()) > 1]
        short = [word for word in short if sum(word[:3] == name.split()[0][:3] for name in names) != len(names)] or short
    return tuple(dict.fromkeys([*short, *names]))


@lru_cache(64)
def months(language: str) -> dict[str, int]:
    """Month numbers by name, in lower case, long and short, as in a date and alone."""
    locale = _locale(language)
    if locale is None:
        return {}
    found: dict[str, int] = {}
    for context in ("format", "stand-alone"):
        for width in ("wide", "abbreviated"):
            for number, name in locale.months[context][width].items():
                if not any(map(str.isdigit, name)):
                    found.setdefault(name.casefold().rstrip("."), number)
    return found


@lru_cache(64)
def month_name(number: int, language: str) -> str:
    """The full name of a month (1 to 12)."""
    return str(_locale(language).months["format"]["wide"][number])


@lru_cache(64)
def decimal_sign(language: str) -> str:
    """`,` or `.`, by CLDR."""
    locale = _locale(language)
    return "," if locale is not None and locale.number_symbols["latn"].get("decimal") == "," else "."
