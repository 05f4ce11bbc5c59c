"""A message as Slack's blocks, within Slack's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from activities.chat.wording import Words

LONGEST_BLOCK = 3000
LONGEST_NOTIFICATION = 300
REPEAT = "maybe a repeat"


def blocks(words: Words, *, repeat: bool) -> list[dict[str, Any]]:
    """Lay a message out: its text in sections, its mark below in small print."""
    mark = f"{words.mark} · {REPEAT}" if repeat else words.mark
    sections = [{"type": "section", "text": {"type": "mrkdwn", "text": part}} for part in parts(words.text)]
    return [*sections, {"type": "context", "elements": [{"type": "mrkdwn", "text": mark}]}]


def notification(words: Words) -> str:
    """Return what a phone shows of it."""
    return next(_pieces(words.first_line, LONGEST_NOTIFICATION))


def metadata(words: Words) -> dict[str, Any]:
    """Return the mark for machines; it is how a repeat is found."""
    return {"event_type": "runbook_message", "event_payload": {"mark": words.mark}}


def mark_of(message: dict[str, Any]) -> str | None:
    """Return the mark that a posted message carries."""
    mark = ((message.get("metadata") or {}).get("event_payload") or {}).get("mark")
    return mark if isinstance(mark, str) else None


def parts(text: str) -> list[str]:
    """Cut a text into blocks, at the ends of lines where lines allow it."""
    found = [""]
    for line in text.splitlines(keepends=True):
        for piece in _pieces(line, LONGEST_BLOCK):
            if len(found[-1]) + len(piece) > LONGEST_BLOCK:
                found.append("")
            found[-1] += piece
    return [part.strip("\n") for part in found if part.strip()]


def _pieces(line: str, longest: int) -> Iterator[str]:
    while len(line) > longest:
        # Never through the middle of an escaped character: half of "&lt;" would show as it is.
        start = line.rfind("&", longest - 4, longest)
        cut = start if start > 0 else longest
        yield line[:cut]
        line = line[cut:]
    yield line
