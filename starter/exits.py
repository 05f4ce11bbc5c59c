"""Exit codes of the command line, the error that ends a command with one clear line, and the end of its process."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from enum import IntEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

from runbook_model.text.sentences import with_fix

if TYPE_CHECKING:
    from runbook_model.errors import RunbookError

NAME_A_CATALOG = "give --catalog FILE or set RUNBOOK_CATALOG"

MODULES = {"sandbox": ("moto", "flask", "psutil")}
"""What each extra brings, as modules."""


class Exit(IntEnum):
    """What an exit code says; scripts rely on it."""

    DONE = 0
    NOT_DONE = 1
    """Not recovered, inconclusive, superseded, failed."""
    BAD_INPUT = 2
    STOPPED = 3
    """Aborted, or not approved."""
    TEMPORAL_UNREACHABLE = 4
    REFUSED = 5
    """By policy, or because something runs already."""
    INTERRUPTED = 130
    """Ctrl-C, as shells number it."""
    UNREAD = 141
    """Nobody reads the output any more, as shells number it: `runbook list | head -1`."""


class CliError(Exception):
    """Ends a command with one line for a person: what is wrong, and how to fix it."""

    def __init__(self, code: Exit, message: str, fix: str | None = None) -> None:
        self.code = code
        self.message = message
        self.fix = fix
        super().__init__(message)

    def __str__(self) -> str:
        """Return both in one line."""
        return with_fix(self.message, self.fix)


def bad_input(message: str, fix: str | None = None) -> CliError:
    """Make the error for what cannot be used as it was typed."""
    return CliError(Exit.BAD_INPUT, message, fix)


def refused(message: str, fix: str | None = None) -> CliError:
    """Make the error for what is understood, and may not or need not be done."""
    return CliError(Exit.REFUSED, message, fix)


def of_error(error: RunbookError) -> CliError:
    """Make the error for what an error of ours says of the command's input."""
    return bad_input(error.message, error.fix)


def end_process(code: int) -> NoReturn:
    """End this process with an exit code, after threads, exit functions and output, without taking modules apart."""
    threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 - waits for threads, as the interpreter does
    atexit._run_exitfuncs()  # noqa: SLF001 - coverage, traces and temporary files end here
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more; the exit code still says how it ended
            stream.flush()
    os._exit(code)


def check_extra(extra: str, what: str) -> None:
    """Check that an extra is installed.

    Raises:
        CliError: it is not; the message has the command that installs it.
    """
    if any(find_spec(module) is None for module in MODULES[extra]):
        raise CliError(
            Exit.NOT_DONE,
            f"{what} needs the extra {extra!r}, which is not installed",
            how_to_install(extra),
        )


def how_to_install(extra: str) -> str:
    """Say how to install an extra, for whoever has a clone and for whoever has a wheel."""
    return f"in a clone: pip install '.[{extra}]'; with a wheel: pip install 'PATH-OF-THE-WHEEL[{extra}]'"
