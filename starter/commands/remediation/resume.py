"""``runbook resume``: continue a paused run."""

from __future__ import annotations

import click

from starter.caller import Caller, example, takes_caller
from starter.client.deciding import hold
from starter.signing import SigningOptions, takes_signing
from starter.target_options import reason_option, run_argument


@click.command("resume", epilog=example("runbook resume prod/ai-processor --as alice"))
@run_argument
@reason_option
@takes_signing()
@takes_caller("--as", "--run", "--json")
def command(caller: Caller, run: str, *, reason: str | None, signing: SigningOptions) -> None:
    """Continue a paused run.

    ID is ENVIRONMENT/SERVICE or a workflow id. The plan is checked again before anything is changed.
    """
    hold(caller, run, "resume", reason, signing)
