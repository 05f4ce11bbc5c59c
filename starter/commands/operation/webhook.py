"""``runbook webhook``: receive Alertmanager's alerts."""

from __future__ import annotations

import asyncio
import os

import click

from activities.telemetry.log_lines import log_to_stderr
from activities.telemetry.telemetry import flush_traces
from runbook_model.errors import CatalogError, InputError
from starter.caller import Caller, example, takes_caller
from starter.client.connect import connect_lazily
from starter.exits import NAME_A_CATALOG, Exit, bad_input, of_error
from starter.printing import answer, note
from starter.processes.listening import Address, parse_address, serve
from starter.target_options import listen_option
from starter.webhook.application import CatalogFile, Receiver, application
from starter.webhook.guard import Token, Tokens, load_tokens
from starter.webhook.incidents import Incidents
from workflows.procedures.packages import load_own

LISTEN = "127.0.0.1:8080"


@click.command("webhook", epilog=example("runbook webhook --listen 0.0.0.0:8080"))
@listen_option(LISTEN)
@takes_caller("--catalog", "--json")
def command(caller: Caller, *, listen: str) -> Exit:
    """Receive alerts from Alertmanager at POST /alerts and pass them to their incidents.

    Callers need the bearer token of RUNBOOK_WEBHOOK_TOKEN, or of the file RUNBOOK_WEBHOOK_TOKEN_FILE; a token in
    RUNBOOK_WEBHOOK_TOKEN_PROD carries alerts of prod only. The answer 200 means that Temporal has every alert. The webhook
    can be restarted at any time: Alertmanager repeats alerts that were not accepted.
    """
    address = parse_address(listen)
    if caller.catalog is None:
        raise bad_input("the webhook needs a catalog", NAME_A_CATALOG)
    try:
        catalog = CatalogFile(caller.catalog, load_own().alerts)
    except (CatalogError, InputError) as error:
        raise of_error(error) from None
    tokens = load_tokens(os.environ, catalog.current().environments)
    asyncio.run(_receive(address, catalog, tokens, as_json=caller.as_json))
    return Exit.DONE


async def _receive(address: Address, catalog: CatalogFile, tokens: list[Token], *, as_json: bool) -> None:
    log_to_stderr("starter")
    receiver = Receiver(Incidents(await connect_lazily("runbook-webhook")), catalog.current, Tokens(tokens))

    def ready(url: str) -> None:
        note(f"webhook ready: {url}/alerts")
        if as_json:
            answer({"alerts": f"{url}/alerts", "health": f"{url}/healthz"})

    await serve(address, application(receiver), ready)
    flush_traces()
