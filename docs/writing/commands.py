"""The command line: every command as its `--help` reports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from docs.writing.source import table
from starter.command_line import VERBS, runbook
from starter.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 100
HEAD = """\
# The command line

Every command takes `--as`, `--catalog`, `--run` and `--json`; with `--json` stdout is one JSON document, and everything
else goes to stderr. `ID` is a workflow id, or `ENVIRONMENT/SERVICE` for short: `approve` then answers whatever waits
there, `show`, `watch`, `ack`, `note`, `close` and `review` take the open incident, else the remediation, and `abort`,
`pause` and `resume` the remediation. An error is one line on stderr, with the fix."""

CODES = {
    Exit.DONE: "Done as asked; `--wait` and `watch`: recovered, not-needed or planned.",
    Exit.NOT_DONE: "Not recovered, inconclusive, superseded or failed.",
    Exit.BAD_INPUT: "Bad usage or input: an unknown service, environment, release.",
    Exit.STOPPED: "Aborted or not approved (`--wait` and `watch` only: an accepted `abort` or `approve` is 0).",
    Exit.TEMPORAL_UNREACHABLE: "Temporal is not reachable, or denied access.",
    Exit.REFUSED: "Refused by policy, or something runs already.",
    Exit.INTERRUPTED: "Interrupted by Ctrl-C; what runs in Temporal continues.",
    Exit.UNREAD: "Nobody reads the output any more, as in `runbook list | head -1`.",
}


def page() -> str:
    """Write the page."""
    overview = table(
        ("command", "does"), ((f"[`runbook {name}`](#runbook-{name})", said) for name, said in VERBS.items())
    )
    codes = table(("exit code", "meaning"), ((f"**{code.value}**", CODES[code]) for code in Exit))
    helps = (f"## runbook {words}\n\n```text\n{said}\n```" for words, said in _helps())
    return "\n\n".join([HEAD, overview, "## Exit codes", codes, *helps])


def _helps() -> Iterator[tuple[str, str]]:
    root = click.Context(runbook, info_name="runbook")
    for name in runbook.list_commands(root):
        command = runbook.get_command(root, name)
        assert command is not None
        yield name, _help(command, root, name)
        if isinstance(command, click.Group):
            own = click.Context(command, info_name=name, parent=root)
            for inner, item in command.commands.items():
                yield f"{name} {inner}", _help(item, own, inner)


def _help(command: click.Command, parent: click.Context, name: str) -> str:
    ctx = click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=WIDTH,
        help_option_names=["-h", "--help"],
    )
    return command.get_help(ctx)
