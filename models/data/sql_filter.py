"""A SQL condition over the shards' sidecars, as Arrow can apply it: `tier = 'high' and language in ('en', 'es')`.

The part of SQL that a WHERE usually is: `= != <> < <= > >=`, `in`, `between`, `like`, `is null`, `not`, `and`, `or`, brackets. It
means what it means to a database: a comparison with NULL is neither true nor false, and a row for which it is not true is out.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.compute as pc

from voxmill.manifests.errors import UserError

_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<text>'(?:[^']|'')*')|(?P<sign><=|>=|<>|!=|[=<>(),])|(?P<word>[A-Za-z_]\w*)|(?P<bad>\S))"
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "!=": operator.ne, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_WORDS = {"and", "or", "not", "in", "is", "null", "between", "like", "true", "false"}


class ConditionError(UserError, ValueError):
    """A condition that cannot be read; the message shows where and what was expected."""


def condition(sql: str, columns: Sequence[str]) -> Any:
    """A pyarrow expression to filter a table with these columns. Raises ConditionError."""
    reader = _Reader(sql, columns)
    expression = reader.either()
    if reader.peek() != "":
        raise reader.expected("the end, AND or OR")
    return expression


class _Reader:
    """Reads from left to right; one method for each level of precedence."""

    def __init__(self, sql: str, columns: Sequence[str]) -> None:
        self.sql, self.columns, self.at = sql, columns, 0
        self.tokens = [(str(m.lastgroup), m.group(str(m.lastgroup)), m.start(str(m.lastgroup))) for m in _TOKEN.finditer(sql)]

    def either(self) -> Any:
        left = self.both()
        while self.took("or"):
            left = left | self.both()
        return left

    def both(self) -> Any:
        left = self.negated()
        while self.took("and"):
            left = left & self.negated()
        return left

    def negated(self) -> Any:
        return ~self.negated() if self.took("not") else self.predicate()

    def predicate(self) -> Any:
        if self.took("("):
            inner = self.either()
            self.must(")")
            return inner
        left = self.operand()
        if self.took("is"):
            absent = not self.took("not")
            self.must("null")
            return left.is_null() if absent else left.is_valid()
        negated = self.took("not")
        test = self.test(left)
        return ~test if negated else test

    def test(self, left: Any) -> Any:
        if self.took("in"):
            self.must("(")
            choices = [self.operand()]
            while self.took(","):
                choices.append(self.operand())
            self.must(")")
            any_of = left == choices[0]
            for choice in choices[1:]:
                any_of = any_of | (left == choice)
            return any_of
        if self.took("between"):
            low = self.operand()
            self.must("and")
            return (left >= low) & (left <= self.operand())
        if self.took("like"):
            _, text = self.next("a pattern in quotes", ("text",))
            return pc.match_like(left, _unquoted(text))
        _, sign = self.next("a comparison", ("sign",))
        if sign not in _COMPARE:
            self.at -= 1
            raise self.expected("a comparison")
        return _COMPARE[sign](left, self.operand())

    def operand(self) -> Any:
        kind, value = self.next("a column or a value", ("number", "text", "word"))
        if kind == "number":
            return pc.scalar(float(value) if "." in value else int(value))
        if kind == "text":
            return pc.scalar(_unquoted(value))
        if value.lower() in ("true", "false"):
            return pc.scalar(value.lower() == "true")
        if value not in self.columns:
            near = difflib.get_close_matches(value, self.columns, n=1, cutoff=0.0)
            raise ConditionError(
                f"no column {value!r} in the shards; did you mean {near[0]!r}? There are {', '.join(self.columns)}"
            )
        return pc.field(value)

    def peek(self) -> str:
        return self.tokens[self.at][1].lower() if self.at < len(self.tokens) else ""

    def took(self, word: str) -> bool:
        found = self.peek() == word
        self.at += found
        return found

    def must(self, word: str) -> None:
        if not self.took(word):
            raise self.expected(word.upper())

    def next(self, wanted: str, kinds: tuple[str, ...]) -> tuple[str, str]:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] not in kinds:
            raise self.expected(wanted)
        if self.tokens[self.at][0] == "word" and self.peek() in _WORDS - {"true", "false"}:
            raise self.expected(wanted)
        self.at += 1
        return self.tokens[self.at - 1][:2]

    def expected(self, wanted: str) -> ConditionError:
        place = self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.sql)
        return ConditionError(f"expected {wanted} at `{self.sql[:place]}>>>{self.sql[place:]}`")


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")
