"""``runbook note``: what a person knows of the outage."""

from __future__ import annotations

import click

from runbook_model.messages import Note
from starter.caller import Caller, example, takes_caller
from starter.client.deciding import send_message
from starter.client.targets import page_of
from starter.exits import bad_input
from starter.names import Words
from starter.target_options import run_argument


@click.command(
    "note",
    epilog=example(
        "runbook note prod/ai-processor --impact 'uploads fail for everybody' --eta '10:30 UTC'",
        "runbook note prod/ai-processor --observation 'the disk of db-2 is full'",
    ),
)
@run_argument
@click.option("--impact", metavar="T", type=Words(), help="What users notice.")
@click.option("--root-cause", metavar="T", type=Words(), help="The root cause.")
@click.option("--eta", metavar="T", type=Words(200), help="When it is expected to be over.")
@click.option("--observation", metavar="T", type=Words(), help="What you saw.")
@takes_caller("--as", "--run", "--json")
def command(caller: Caller, /, run: str, **known: str | None) -> None:
    """Add what you know; it appears in the next message, on the page and in the review.

    ID is ENVIRONMENT/SERVICE (the open incident, else the remediation) or a workflow id. Recorded even while no worker
    is running.
    """
    given = {name: text for name, text in known.items() if text}
    if not given:
        raise bad_input("nothing to add", "give --impact, --root-cause, --eta or --observation")
    send_message(caller, run, "note", Note.model_validate({"by": caller.name, **given}), page_of)
