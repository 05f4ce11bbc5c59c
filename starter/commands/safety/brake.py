"""``runbook brake``: stops or allows automatic changes, and shows brakes."""

from __future__ import annotations

from typing import Any, Literal

import click
from temporalio.client import Client

from runbook_model.brakes import AutomaticStart, BrakeReport
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.deciding import decide
from starter.client.known_targets import check_scope, read_catalog
from starter.client.ledger import brakes, open_brake, read_brake_report
from starter.client.run_view import stamp
from starter.client.runs import Run
from starter.client.signing import sign_order
from starter.exits import bad_input
from starter.names import Scope, Words
from starter.printing import answer, clock, note, say
from starter.signing import SigningOptions, takes_signing
from starter.target_options import scope_argument
from workflows.brake import Switch


@click.command(
    "brake",
    epilog=example(
        "runbook brake",
        "runbook brake on prod --reason 'database migration until noon'",
        "runbook brake off prod/ai-processor --reason 'done'",
    ),
)
@click.argument("turn", metavar="[on|off]", required=False, type=click.Choice(["on", "off"]))
@scope_argument
@click.option("--reason", metavar="T", type=Words(), help="Why, for the record; needed with on and off.")
@takes_signing()
@takes_caller("--as", "--catalog", "--json")
def command(
    caller: Caller,
    turn: Literal["on", "off"] | None,
    scope: Scope | None,
    *,
    reason: str | None,
    signing: SigningOptions,
) -> None:
    """Stop or allow automatic changes. Without arguments, show the brakes.

    A brake is for an environment (E), for one service there (E/S), or without either for every environment of the
    catalog. What a person starts always runs. Incidents stay open meanwhile, and people are notified.
    """
    if turn is None:
        converse(lambda client: _show(client, caller))
        return
    if reason is None:
        raise bad_input("no --reason is given", "say why, for the record")
    places = _places(caller, scope)
    order = Switch(by=caller.name, on=turn == "on", reason=reason)
    converse(lambda client: _switch(client, caller, places, order, signing))


def _places(caller: Caller, scope: Scope | None) -> list[tuple[str, str | None]]:
    """List the environments, each with its service where one is meant."""
    if scope is None:
        if caller.catalog is None:
            raise bad_input(
                "no environment is given",
                "name ENVIRONMENT or ENVIRONMENT/SERVICE, or a catalog for all of its environments",
            )
        return [(name, None) for name in sorted(read_catalog(caller.catalog).environments)]
    check_scope(caller.catalog, scope)
    assert scope.environment is not None
    return [(scope.environment, scope.service)]


async def _switch(
    client: Client,
    caller: Caller,
    places: list[tuple[str, str | None]],
    order: Switch,
    signing: SigningOptions,
) -> None:
    if len(places) > 1 and (signing.elsewhere or signing.print_statement):
        raise bad_input("a statement is for one brake", "name ENVIRONMENT or ENVIRONMENT/SERVICE")
    moved = []
    for environment, service in places:
        run = await open_brake(client, environment)
        signed: Switch | None = order.model_copy(update={"service": service})
        if signed and not order.on and signing.active:
            signed = await _signed(client, caller, signing, signed, run)
        if signed:
            moved.append((environment, service, await decide(client, run, "switch", "switch", signed)))
    if signing.print_statement:
        return
    if caller.as_json:
        documents = [
            {"environment": environment, "service": service, **decided.document()}
            for environment, service, decided in moved
        ]
        answer(documents)
        return
    for environment, service, decided in moved:
        where = f"{environment}/{service}" if service else environment
        say(decided.detail if decided.confirmed else f"{where}: {decided.detail}")


async def _signed(
    client: Client, caller: Caller, signing: SigningOptions, order: Switch, run: Run
) -> Switch | None:
    report = await read_brake_report(client, run.id)
    return await sign_order(
        client,
        caller,
        signing,
        order,
        kind="brake-off",
        order={"reason": order.reason},
        run=run,
        first=True,
        environment=run.environment,
        service=order.service,
        sequence=report.book.switched_off if report else None,
    )


async def _show(client: Client, caller: Caller) -> None:
    found = await brakes(client)
    if caller.as_json:
        answer([_document(environment, report) for environment, report in found.items()])
        return
    if not found:
        note("no brake is on, and no procedure has started automatically lately")
    for environment, report in found.items():
        if report is None:
            say(f"{environment}: no worker is responding; the state of its brake is unknown")
            continue
        for item in report.book.on:
            where = f"{environment}/{item.service}" if item.service else environment
            say(f"{where}: ON since {clock(item.at)}, by {item.by}: {item.reason}")
        if not report.book.on:
            say(f"{environment}: off")
        for started in report.book.starts:
            until = f"to {clock(started.ended)}" if started.ended else "under way"
            say(f"  {started.service}: {started.procedure} from {clock(started.began)} {until}")


def _document(environment: str, report: BrakeReport | None) -> dict[str, Any]:
    """Return the JSON of one brake."""
    if report is None:
        return {"environment": environment, "live": False, "on": [], "starts": [], "begun": []}
    starts = [_start(start) for start in report.book.starts]
    return {
        "environment": environment,
        "live": True,
        "on": [item.model_dump(mode="json") for item in report.book.on],
        "starts": starts,
        "begun": starts,  # the old name, until 1.0
    }


def _start(start: AutomaticStart) -> dict[str, Any]:
    times = {"started": stamp(start.began), "ended": stamp(start.ended)}
    return {"service": start.service, "procedure": start.procedure, **times, "began": times["started"]}
