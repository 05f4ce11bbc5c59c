"""Selectors of PromQL and their label matchers, such as ``path=~"/health.*"``: read, negated, applied to labels. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple, cast

Operator = Literal["=", "!=", "=~", "!~"]
NEGATED: dict[Operator, Operator] = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_SHAPE = re.compile(
    rf"\s*(?P<label>[a-zA-Z_][a-zA-Z0-9_]*|(?!\"\"){_QUOTED})\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>{_QUOTED})\s*"
)
_SELECTOR = re.compile(r"\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(?P<inside>.*)\})?\s*", re.DOTALL)
_ITEM = re.compile(rf'(?P<item>(?:[^",]|{_QUOTED})+)(?:,|$)', re.DOTALL)
_PLAIN_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PLAIN_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True)
class Matcher:
    """One matcher; label and value stay quoted as they were written."""

    label: str
    operator: Operator
    value: str

    @property
    def negated(self) -> str:
        """The opposite matcher, as PromQL has it."""
        return f"{self.label}{NEGATED[self.operator]}{self.value}"

    @property
    def name(self) -> str:
        """The label without quotes."""
        return _unquoted(self.label) if self.label.startswith('"') else self.label

    @property
    def wanted(self) -> str:
        """The value, or pattern, without quotes."""
        return _unquoted(self.value)

    @property
    def text(self) -> str:
        """The matcher, as PromQL has it."""
        return f"{self.label}{self.operator}{self.value}"

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it selects a series; a label that is not there is empty."""
        return self.accepts(labels.get(self.name, ""))

    def accepts(self, found: str) -> bool:
        """Whether it selects a series by its label's value."""
        value = self.wanted
        equal = bool(re.fullmatch(value, found)) if "~" in self.operator else found == value
        return equal is not self.operator.startswith("!")


class Selector(NamedTuple):
    """Series of one metric: all of them, or those that every matcher selects."""

    metric: str
    matchers: tuple[Matcher, ...] = ()

    @property
    def text(self) -> str:
        """The selector, as PromQL has it."""
        return self.written(()) if self.matchers else self.written(()).removesuffix("{}")

    def written(self, labels: Iterable[str]) -> str:
        """Write it with further matchers, which are put before its own."""
        inside = [*labels, *(matcher.text for matcher in self.matchers)]
        if _PLAIN_METRIC.fullmatch(self.metric):
            return f"{self.metric}{{{', '.join(inside)}}}"
        return "{" + ", ".join([quoted(self.metric), *inside]) + "}"

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether it selects a series of its metric."""
        return all(matcher.matches(labels) for matcher in self.matchers)

    def named(self, metric: str) -> Selector:
        """Return the same matchers of another metric."""
        return Selector(metric, self.matchers)

    def where(self, *matchers: Matcher) -> Selector:
        """Return those of its series that further matchers select."""
        return Selector(self.metric, (*self.matchers, *matchers))


@cache
def parse_selector(text: str) -> Selector:
    """Read a selector of one metric: ``name``, ``name{label="value"}``, or ``{"quoted.name", label="value"}``.

    Raises:
        ValueError: it is none.
    """
    found = _SELECTOR.fullmatch(text)
    if found is None:
        raise ValueError(NO_SELECTOR)
    names = [found["name"]] if found["name"] else []
    matchers: list[Matcher] = []
    for item in _items(found["inside"] or ""):
        if re.fullmatch(_QUOTED, item):
            names.append(_unquoted(item))
        elif (matcher := parse_matcher(item)).name == "__name__" and matcher.operator == "=":
            names.append(matcher.wanted)
        else:
            matchers.append(matcher)
    if len(names) != 1 or not names[0]:
        raise ValueError(NO_SELECTOR if not names else "names more than one metric: leave one")
    return Selector(names[0], tuple(matchers))


NO_SELECTOR = (
    'is not a PromQL selector of one metric: write NAME, NAME{LABEL="VALUE"}, or {"QUOTED.NAME"}, '
    "without functions, ranges and offsets"
)


def _items(inside: str) -> Iterator[str]:
    rest = inside.strip().removesuffix(",")
    while rest.strip():
        found = _ITEM.match(rest)
        if found is None:
            raise ValueError(NO_SELECTOR)
        yield found["item"].strip()
        rest = rest[found.end() :]


def quoted(text: str) -> str:
    """Write a value, or a name that needs it, in PromQL's quotes."""
    return '"' + escape(text) + '"'


def label_name(name: str) -> str:
    """Write a label's name, in quotes where it holds more than letters, digits and underscores."""
    return name if _PLAIN_LABEL.fullmatch(name) else quoted(name)


def escape(value: str) -> str:
    """Write a label's value so that it cannot leave its quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@cache
def parse_matcher(text: str) -> Matcher:
    """Read a matcher.

    Raises:
        ValueError: it is none.
    """
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise ValueError('is not a PromQL matcher: write LABEL="VALUE", or LABEL=~"PATTERN"')
    matcher = Matcher(found["label"], cast("Operator", found["operator"]), found["value"])
    try:
        matcher.matches({})
    except re.error as error:
        raise ValueError(f"its pattern is not a regular expression: {error}") from None
    return matcher


def _unquoted(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        raise ValueError(f"{quoted} is not quoted as PromQL quotes: write \\\\ for a backslash") from None
