"""Exit codes of the command line, and the error that ends a command with one clear line."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What an exit code says; scripts rely on it."""

    DONE = 0
    NOT_DONE = 1
    """Not recovered, inconclusive, superseded, failed."""
    BAD_INPUT = 2
    STOPPED = 3
    """Aborted, or not approved."""
    TEMPORAL_AWAY = 4
    REFUSED = 5
    """By policy, or because something runs already."""
    INTERRUPTED = 130
    """Ctrl-C, as shells number it."""


class CliError(Exception):
    """Ends a command: what is wrong and the mend, in one line for a person."""

    def __init__(self, code: Exit, message: str) -> None:
        self.code = code
        super().__init__(message)


def bad_input(message: str) -> CliError:
    """Make the error for what cannot be used as it was typed."""
    return CliError(Exit.BAD_INPUT, message)


def refused(message: str) -> CliError:
    """Make the error for what is understood, and may not or need not be done."""
    return CliError(Exit.REFUSED, message)
