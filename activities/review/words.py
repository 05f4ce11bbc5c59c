"""Text of histories, made fit for a page that many will read: one line, bounded, without what looks like a secret. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.redaction import excerpt

if TYPE_CHECKING:
    from activities.review.histories import Json

LONGEST = 500
NOBODY = "unknown"


def said(value: Json, longest: int = LONGEST) -> str:
    """Return what somebody or something said; nothing where it is no text."""
    return excerpt(value, longest) if isinstance(value, str) else ""


def lines(value: Json) -> tuple[str, ...]:
    """Return a list of texts."""
    return tuple(said(one) for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def who(message: Json) -> str:
    """Return who sent a message, as the message says."""
    return (said(message.get("by"), 100) if isinstance(message, dict) else "") or NOBODY


def objects(value: Json) -> list[dict[str, Json]]:
    """Return the objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
