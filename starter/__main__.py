"""The command ``runbook``; little is imported before Ctrl-C is looked after."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from starter.exits import Exit, end_process


def main() -> NoReturn:
    """Run one command and end with its exit code."""
    # Where the shell closed one of them, Python has None; what would be written there, nobody wants to read.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - for as long as the process lives
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123 - likewise
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a sign shows its code; that is no reason to fail.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    end_process(run(sys.argv[1:]))


def run(argv: list[str] | tuple[str, ...]) -> int:
    """Run one command and return its exit code."""
    try:
        from starter.command_line import run_command  # noqa: PLC0415 - Ctrl-C may come meanwhile

        return run_command(argv)
    except KeyboardInterrupt:
        sys.stderr.write("runbook: interrupted\n")
        return Exit.INTERRUPTED


if __name__ == "__main__":
    main()
