"""Sentences for people: foreign text made short and harmless, one full stop at the end, counted things."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from runbook_model.text.redaction import excerpt

LIKE = 0.7
"""How alike two names have to be, 1.0 being the same."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like another one; None where none is like it."""
    close = difflib.get_close_matches(name, [*known], n=1, cutoff=LIKE)
    return close[0] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the words that follow an unknown name in a message: a space and the nearest known name, or nothing."""
    found = nearest(name, known)
    return f" (did you mean {found}?)" if found else ""


QUOTED = 300
"""Characters of foreign text that a sentence of ours quotes."""

_TRACEBACK = "Traceback (most recent call last)"

_ENDS = (".", "!", "?", "…")


def quote(text: str, longest: int = QUOTED) -> str:
    """Return foreign text as a part of our sentence: redacted, on one line, bounded, without its full stop.

    Of a Python traceback only the last line is kept, which says what was raised.
    """
    return excerpt(_without_traceback(text), longest).rstrip(" .;:,")


def sentence(text: str) -> str:
    """Return the text with exactly one full stop at its end, unless it ends with another sign."""
    bare = text.rstrip()
    if bare.endswith(("...", *_ENDS[1:])):
        return bare
    return f"{bare.rstrip('.')}." if bare else ""


def with_fix(message: str, fix: str | None) -> str:
    """Return what is wrong and how to fix it, in one line."""
    return f"{message.rstrip('.')}; {fix}" if fix else message


def count_of(number: int, what: str, several: str | None = None) -> str:
    """Return a number and what it counts: ``1 session``, ``3 sessions``."""
    return f"{number} {what if number == 1 else several or f'{what}s'}"


def _without_traceback(text: str) -> str:
    before, found, rest = text.partition(_TRACEBACK)
    if not found:
        return text
    frames = rest.splitlines()[1:]
    # What was raised is the first line after the frames, which are indented.
    raised = next(
        (place for place, line in enumerate(frames) if line.strip() and not line[0].isspace()), None
    )
    return before if raised is None else f"{before}{frames[raised]}"
