"""Label matchers of PromQL, such as ``path=~"/health.*"``: read, negated, and applied to labels. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

Operator = Literal["=", "!=", "=~", "!~"]
NEGATED: dict[Operator, Operator] = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
_SHAPE = re.compile(
    r'\s*(?P<label>[a-zA-Z_][a-zA-Z0-9_]*|"(?:[^"\\]|\\.)+")\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>"(?:[^"\\]|\\.)*")\s*'
)


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

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it selects a series; a label that is not there is empty."""
        found = labels.get(_unquoted(self.label) if self.label.startswith('"') else self.label, "")
        value = _unquoted(self.value)
        equal = bool(re.fullmatch(value, found)) if "~" in self.operator else found == value
        return equal is not self.operator.startswith("!")


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
