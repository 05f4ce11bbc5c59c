"""The command ``runbook``."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import click

from starter.cli import runbook
from starter.exits import CliError, Exit

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a sign shows its code; that is no reason to fail.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run one command; every way that it can end has one exit code, and at most one line on stderr."""
    try:
        ending = runbook.main(list(argv) or ["--help"], prog_name="runbook", standalone_mode=False)
        sys.stdout.flush()
    except CliError as error:
        return _fail(error.code, str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return Exit.DONE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "runbook"
        return _fail(Exit.BAD_INPUT, f"{error.format_message().rstrip('.')}; see `{path} --help`")
    except click.ClickException as error:
        return _fail(Exit.BAD_INPUT, error.format_message())
    except (KeyboardInterrupt, click.Abort):
        return _fail(Exit.INTERRUPTED, "interrupted")
    except BrokenPipeError:
        return _reader_gone()
    except Exception as error:
        if os.environ.get("RUNBOOK_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        return _fail(Exit.NOT_DONE, f"{what} (a fault of runbook itself; RUNBOOK_DEBUG=1 shows where)")
    return ending if isinstance(ending, int) else Exit.DONE


def _fail(code: Exit, message: str) -> Exit:
    with contextlib.suppress(BrokenPipeError):  # nobody reads stderr: the exit code still speaks
        sys.stdout.flush()
        click.echo(f"runbook: {message}", err=True)
    return code


def _reader_gone() -> Exit:
    # What is still buffered would fail once more when Python closes stdout.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.NOT_DONE


if __name__ == "__main__":
    main()
