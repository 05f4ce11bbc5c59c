"""Pieces of a Markdown page: tables, lists, times, and text that is no markup."""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING

from runbook_model.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

NOTHING = "Nothing."
_MARKUP = re.compile(r"([\\`*\[\]|])")


def plain(text: str) -> str:
    """Escape what Markdown would take for markup; text of people stays text."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split())).replace("<", "&lt;")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write a table; a word where it would be empty."""
    if not rows:
        yield NOTHING
        return
    yield f"| {' | '.join(titles)} |"
    yield f"|{' --- |' * len(titles)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def bullets(texts: Sequence[str], otherwise: str, cites: Sequence[str] = ()) -> Iterator[str]:
    """Write a list, each line with its source behind it; ``otherwise`` where it would be empty."""
    ends = [f" {cite}" for cite in cites] or [""] * len(texts)
    yield from (f"- {plain(text)}{end}" for text, end in zip(texts, ends, strict=True))
    if not texts:
        yield otherwise


def stamp(at: datetime) -> str:
    """Write a time."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def after(at: datetime, detected: datetime) -> str:
    """Write how long after it was detected, or before."""
    if at == detected:
        return ""
    return format_duration(at - detected) if at > detected else f"{format_duration(detected - at)} before"
