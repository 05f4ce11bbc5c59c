"""The known name that a mistyped name most resembles."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

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
