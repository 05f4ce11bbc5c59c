"""Runs one command of the command line; every way that it can end has one exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence

import click

from runbook_model.text.plain_text import one_line
from runbook_model.text.sentences import did_you_mean, nearest, with_fix
from starter.cli import runbook
from starter.exits import CliError, Exit, bad_input

NOT_WRITTEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What the operating system says when what stdout goes to takes no more."""


def run_command(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; an error is one line on stderr."""
    try:
        _check_arguments(argv)
        ending = runbook.main(list(argv) or ["--help"], prog_name="runbook", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as ended:  # how click ends its own work, such as completing a word
        return ended.code if isinstance(ended.code, int) else Exit.DONE
    except (KeyboardInterrupt, click.Abort):
        return _fail(Exit.INTERRUPTED, "interrupted")
    except BrokenPipeError:
        _discard_output()
        return Exit.NOT_DONE
    except OSError as error:
        return _unwritten(error) if error.errno in NOT_WRITTEN and not error.filename else _fault(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one line
        return _report(error)
    return ending if isinstance(ending, int) else Exit.DONE


def _report(error: Exception) -> Exit:
    match error:
        case CliError():
            return _fail(error.code, str(error))
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message())
            return Exit.DONE
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "runbook"
            return _fail(Exit.BAD_INPUT, with_fix(_usage(error), f"see `{path} --help`"))
        case click.ClickException():
            return _fail(Exit.BAD_INPUT, error.format_message())
        case _:
            return _fault(error)


def _usage(error: click.UsageError) -> str:
    """Say what is wrong with what was typed; of a mistyped word also which one was probably meant."""
    match error:
        case click.exceptions.NoSuchCommand(ctx=click.Context(command=click.Group() as group) as ctx):
            return f"{error.message.rstrip('.')}{did_you_mean(error.command_name, group.list_commands(ctx))}"
        case click.NoSuchOption(ctx=click.Context(command=command) as ctx):
            options = (
                parameter
                for parameter in command.get_params(ctx)
                if isinstance(parameter, click.Option) and not parameter.hidden
            )
            # Without the dashes, which make short names alike: --reason is no --json.
            known = [name for option in options for name in option.opts if name.startswith("--")]
            found = nearest(error.option_name.lstrip("-"), [name.lstrip("-") for name in known])
            meant = f" (did you mean --{found}?)" if found else _by_position(error.option_name, command)
            return f"{error.message.rstrip('.')}{meant}"
        case _:
            return error.format_message().rstrip(".")


def _by_position(option: str, command: click.Command) -> str:
    """Say how a command takes its target that has no options for it."""
    places = [
        item.make_metavar(click.Context(command))
        for item in command.params
        if item.name in {"target", "scope"}
    ]
    if option not in {"--environment", "--service"} or not places:
        return ""
    return f"; write the target by position: {places[0]}"


def _unwritten(error: OSError) -> Exit:
    _discard_output()
    return _fail(Exit.NOT_DONE, with_fix(f"the output cannot be written: {error.strerror}", "make room"))


def _check_arguments(argv: Sequence[str]) -> None:
    """Refuse bytes that are no text, which neither Temporal nor a record can hold, and values that are empty."""
    for before, word in zip(("", *argv), argv, strict=False):
        option, equals, value = word.partition("=")
        if not word.strip() or (word.startswith("--") and equals and not value.strip()):
            named = option.strip() or (before if before.startswith("-") else "an argument")
            raise bad_input(f"{named} has an empty value", "write the value, or leave it out")
        try:
            word.encode()
        except UnicodeEncodeError:
            raise bad_input(f"{word[:80]!a} is not UTF-8", "write it again") from None


def _fault(error: Exception) -> Exit:
    if os.environ.get("RUNBOOK_DEBUG"):
        raise error
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return _fail(Exit.NOT_DONE, f"{what} (a bug in runbook; RUNBOOK_DEBUG=1 shows where)")


def _fail(code: Exit, message: str) -> Exit:
    with contextlib.suppress(OSError):  # nobody reads stderr: the exit code still speaks
        sys.stdout.flush()
        click.echo(f"runbook: {one_line(message)}", err=True)
    return code


def _discard_output() -> None:
    """Let what is still buffered go: it would fail once more when Python closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
