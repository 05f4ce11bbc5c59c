"""``runbook close``: close an incident."""

from __future__ import annotations

import click

from runbook_model.incident.messages import Closing
from starter import completion
from starter.caller import Caller, example, takes_caller
from starter.client.deciding import send_message
from starter.client.targets import incident_of
from starter.exits import bad_input


@click.command(
    "close", epilog=example("runbook close prod/ai-processor --root-cause 'the disk of db-2 was full'")
)
@click.argument("run", metavar="ID", shell_complete=completion.runs)
@click.option("--root-cause", metavar="T", required=True, help="The root cause, for the review.")
@takes_caller("--as", "--run", "--json")
def command(caller: Caller, run: str, *, root_cause: str) -> None:
    """Close an incident that a person took over, or that a person opened.

    ID is ENVIRONMENT/SERVICE or a workflow id. Refused while a procedure is running. The outcome is `recovered` only if
    alerts or readings show it.
    """
    if not root_cause.strip() or len(root_cause) > 2000:
        raise bad_input("--root-cause needs 1 to 2000 characters", "the review starts with it")
    send_message(caller, run, "close", Closing(by=caller.name, root_cause=root_cause), incident_of)
