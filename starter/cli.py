"""The verbs of the command line; each lives in its own module, which is imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click
from click.shell_completion import CompletionItem

from starter import VERSION

VERBS = {
    "up": "Start a local sandbox.",
    "demo": "Simulate one outage, from start to recovery, in a new sandbox.",
    "start": "Start a procedure on a service.",
    "list": "List open and ended runs, newest first.",
    "show": "Show a run as it is now.",
    "watch": "Follow a run until it ends.",
    "approve": "Approve the plan that a run waits with, or choose an option.",
    "abort": "Stop a run safely; keep or undo its changes.",
    "pause": "Pause a run before its next step.",
    "resume": "Continue a paused run.",
    "open": "Open an incident that a person found.",
    "note": "Add what you know to an incident.",
    "ack": "Acknowledge; stop paging.",
    "close": "Close an incident that a person took over.",
    "brake": "Stop or allow automatic changes; show brakes.",
    "standing": "Agree beforehand to automatic changes; list what was agreed to.",
    "release": "List a service's releases; mark them good or bad.",
    "review": "Write the post-incident review.",
    "metrics": "Show MTTA, MTTR and outcomes.",
    "doctor": "Check the setup and print fixes.",
    "drill": "Check whether procedures would work now.",
    "print": "Print a procedure with a target's commands, for use without Temporal.",
    "catalog": "Write, validate and describe the catalog.",
    "serve": "Run Temporal, a worker and the webhook on this machine, for real.",
    "worker": "Run a worker, which carries out procedures.",
    "webhook": "Receive alerts from Alertmanager.",
    "codec": "Decrypt histories for the Temporal UI.",
    "completion": "Print the shell completion script.",
}
"""Verb -> what it does, so that ``runbook --help`` imports none of them."""

SECTIONS = {
    "Try it": ("up", "demo"),
    "Remediate": ("start", "list", "show", "watch", "approve", "abort", "pause", "resume"),
    "Incidents": ("open", "note", "ack", "close", "review", "metrics"),
    "Keep safe": ("brake", "standing", "release", "doctor", "drill", "print"),
    "Run it": ("catalog", "serve", "worker", "webhook", "codec", "completion"),
}
"""How the help groups them."""

PACKAGES = {
    "Try it": "trying",
    "Remediate": "remediation",
    "Incidents": "incidents",
    "Keep safe": "safety",
    "Run it": "operation",
}
"""In which package of ``starter.commands`` the modules of a group are."""


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
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), VERBS[name]) for name in names])


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
