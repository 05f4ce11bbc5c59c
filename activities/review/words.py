"""Text and layout of reviews: one line, bounded, without what looks like a secret. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runbook_model.text.durations import format_duration
from runbook_model.text.plain_text import markdown
from runbook_model.text.redaction import excerpt

if TYPE_CHECKING:
    from activities.review.histories import Json

TEXT = 500

NOBODY = "unknown"


def said(value: Json, longest: int = TEXT) -> str:
    """Return what somebody or something said; nothing where it is no text."""
    return excerpt(value, longest) if isinstance(value, str) else ""


def lines(value: Json) -> tuple[str, ...]:
    """Return a list of texts."""
    return tuple(said(item) for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def who(message: Json) -> str:
    """Return who sent a message, as the message says."""
    return (said(message.get("by"), 100) if isinstance(message, dict) else "") or NOBODY


def objects(value: Json) -> list[dict[str, Json]]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


NOTHING = "Nothing."


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], otherwise: str = NOTHING) -> Iterator[str]:
    """Write a table; ``otherwise`` where it would be empty."""
    if not rows:
        yield otherwise
        return
    yield f"| {' | '.join(titles)} |"
    yield f"|{' --- |' * len(titles)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def bullets(texts: Sequence[str], otherwise: str, cites: Sequence[str] = ()) -> Iterator[str]:
    """Write a list, each line with its source behind it; ``otherwise`` where it would be empty."""
    ends = [f" {cite}" for cite in cites] or [""] * len(texts)
    yield from (f"- {markdown(text)}{end}" for text, end in zip(texts, ends, strict=True))
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
