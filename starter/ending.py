"""Ends a process after its work: the interpreter's own end is sometimes crashed by threads of Temporal's SDK."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn


def end_process(code: int) -> NoReturn:
    """End this process with an exit code, after threads, exit functions and output, without taking modules apart."""
    threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 - waits for threads, as the interpreter does
    atexit._run_exitfuncs()  # noqa: SLF001 - coverage, traces and temporary files end here
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more; the exit code still says how it ended
            stream.flush()
    os._exit(code)
