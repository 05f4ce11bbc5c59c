"""The verbs of the command line; each lives in its own module, which is imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click

VERBS = {
    "up": "Start a whole world on this machine, for trying and rehearsing.",
    "demo": "Play one story from outage to recovery, on a sandbox of its own.",
    "start": "Start a procedure on a service in an environment.",
    "list": "List what runs and what ended.",
    "show": "Show the page of a run as it stands now.",
    "watch": "Watch the page of a run until its end.",
    "approve": "Say yes to the plan that a run waits with.",
    "abort": "Stop a run safely; keep or undo what it changed.",
    "pause": "Hold a run before its next step.",
    "resume": "Let a run that is held go on.",
    "open": "Open an incident that a person found.",
    "note": "Tell what you know of an incident.",
    "ack": "Say that you have it: nobody else is called.",
    "close": "Close an incident that a person took over.",
    "brake": "Stop, or allow again, what is begun and changed by itself.",
    "release": "Show what is known of a service's releases, and correct it.",
    "review": "Print the post-incident review of an incident or a procedure.",
    "metrics": "Show how fast incidents are taken up and ended, and how procedures end.",
    "doctor": "Look whether everything is in place, and say what to fix.",
    "drill": "Find out whether a rollback would work tonight.",
    "print": "Print a procedure on paper, with the exact commands of a target.",
    "catalog": "Check the catalog of services and environments.",
    "worker": "Run a worker, which does what procedures ask.",
    "webhook": "Receive Alertmanager's alerts.",
    "codec": "Decrypt histories for the Temporal UI.",
}
"""Verb -> what it does, so that ``runbook --help`` imports none of them."""

SECTIONS = {
    "Try it": ("up", "demo"),
    "Remediate": ("start", "list", "show", "watch", "approve", "abort", "pause", "resume"),
    "Incidents": ("open", "note", "ack", "close", "review", "metrics"),
    "Keep safe": ("brake", "release", "doctor", "drill", "print"),
    "Run it": ("catalog", "worker", "webhook", "codec"),
}
"""How the help groups them."""


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
        command = import_module(f"starter.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs' lines without importing them."""
        del ctx
        width = max(map(len, VERBS))  # one column for all of them
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), VERBS[name]) for name in names])


EXAMPLE = """\b
Example:
  runbook start rollback --service ai-processor --environment prod --as alice
  runbook watch prod/ai-processor
  runbook approve prod/ai-processor --as bob

\b
Exit codes: 0 done · 1 not recovered · 2 bad input · 3 aborted or not approved
  4 Temporal not reachable · 5 refused or already running"""


@click.group(
    cls=Verbs,
    epilog=EXAMPLE,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def runbook() -> None:
    """Run incident procedures that survive any crash, and decide what they may change."""
