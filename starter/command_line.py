"""The verbs of the command line, each imported when it is called; every way that one can end has one exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from runbook_model.text.plain_text import one_line
from runbook_model.text.sentences import did_you_mean, nearest, with_fix
from starter import VERSION
from starter.exits import CliError, Exit, bad_input

SECTIONS = {
    "Try it": {
        "up": "Start a local sandbox.",
        "demo": "Simulate one outage, from start to recovery, in a new sandbox.",
    },
    "Remediate": {
        "start": "Start a procedure on a service.",
        "list": "List open and ended runs, newest first.",
        "show": "Show a run as it is now.",
        "watch": "Follow a run until it ends.",
        "approve": "Approve the plan that a run waits with, or choose an option.",
        "abort": "Stop a run safely; keep or undo its changes.",
        "pause": "Pause a run before its next step.",
        "resume": "Continue a paused run.",
    },
    "Incidents": {
        "open": "Open an incident that a person found.",
        "note": "Add what you know to an incident.",
        "ack": "Acknowledge; stop paging.",
        "close": "Close an incident that a person took over.",
        "review": "Write the post-incident review.",
        "metrics": "Show MTTA, MTTR and outcomes.",
    },
    "Keep safe": {
        "brake": "Stop or allow automatic changes; show brakes.",
        "standing": "Approve automatic changes in advance; list these approvals.",
        "release": "List a service's releases; mark them good or bad.",
        "doctor": "Check the setup and print fixes.",
        "drill": "Check whether procedures would work now.",
        "print": "Print a procedure with a target's commands, for use without Temporal.",
    },
    "Run it": {
        "catalog": "Write, validate and describe the catalog.",
        "serve": "Run Temporal, a worker and the webhook on this machine, for real.",
        "worker": "Run a worker, which carries out procedures.",
        "webhook": "Receive alerts from Alertmanager.",
        "codec": "Decrypt histories for the Temporal UI.",
        "completion": "Print the shell completion script.",
    },
}
"""Groups of the help, each with its verbs and what they do, so that ``runbook --help`` imports none of them."""
PACKAGES = dict(zip(SECTIONS, ("trying", "remediation", "incidents", "safety", "operation"), strict=True))
"""In which package of ``starter.commands`` the modules of a group are."""
VERBS = {name: does for verbs in SECTIONS.values() for name, does in verbs.items()}
NOT_WRITTEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What the operating system says when what stdout goes to takes no more."""


class Verbs(click.Group):
    """A group that imports a verb's module only when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the verbs in the order in which people meet them."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        del ctx
        if cmd_name not in VERBS:
            return None
        package = next(PACKAGES[title] for title, names in SECTIONS.items() if cmd_name in names)
        command = import_module(f"starter.commands.{package}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the words of a command; ``--help`` answers here already."""
        with _ends_with_its_reader():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Carry the command out."""
        with _ends_with_its_reader():
            return super().invoke(ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a verb or an option without importing any verb."""
        verbs = [
            CompletionItem(name, help=said) for name, said in VERBS.items() if name.startswith(incomplete)
        ]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs' lines without importing them."""
        del ctx
        width = max(map(len, VERBS))  # one column for all of them
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), does) for name, does in verbs.items()])


@contextlib.contextmanager
def _ends_with_its_reader() -> Iterator[None]:
    """End a command whose output nobody reads any more; click and rich would end it with exit code 1."""
    try:
        yield
    except BrokenPipeError:
        raise _unread() from None
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # rich's end
            raise _unread() from None
        raise


EXAMPLE = """\b
Example:
  runbook start rollback prod/ai-processor --as alice
  runbook watch prod/ai-processor
  runbook approve prod/ai-processor --as bob

\b
Exit codes: 0 done · 1 not recovered · 2 bad input · 3 aborted or not approved
  4 Temporal not reachable · 5 refused or already running

\b
Shell completion: runbook completion --help"""


@click.group(
    cls=Verbs,
    epilog=EXAMPLE,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, prog_name="runbook", message="%(prog)s %(version)s")
def runbook() -> None:
    """Run incident procedures that survive crashes, and approve what they change."""


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
    except BrokenPipeError:  # the last of the output
        return _unread().exit_code
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


def _unread() -> click.exceptions.Exit:
    _discard_output()
    return click.exceptions.Exit(Exit.UNREAD)


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
