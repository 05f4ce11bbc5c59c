"""``runbook serve``: one machine, for real."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path

import click

from starter.caller import Caller, example, takes_caller
from starter.client.known_targets import read_catalog
from starter.commands.operation.webhook import LISTEN
from starter.exits import NAME_A_CATALOG, Exit, bad_input
from starter.names import WholeNumber
from starter.printing import note, say
from starter.processes.listening import parse_address
from starter.processes.machine import Machine
from starter.processes.managed_process import ends_in_order

PORT = 7233
HIGHEST_PORT = 64535
"""The UI's port is 1000 above."""
LOOK_SECONDS = 0.5
DATA = "~/.local/share/incident-runbooks"


@click.command(
    "serve",
    epilog=example(
        "runbook serve --catalog catalog.toml", "runbook serve --data /var/lib/runbooks --listen 0.0.0.0:8080"
    ),
)
@click.option(
    "--data",
    metavar="FOLDER",
    default=DATA,
    show_default=True,
    help="The folder for everything that must survive a restart.",
)
@click.option(
    "--port",
    metavar="PORT",
    type=WholeNumber(1024, HIGHEST_PORT),
    default=PORT,
    show_default=True,
    help="Temporal's port on loopback; its UI is 1000 above.",
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default=LISTEN,
    show_default=True,
    help="Where the webhook takes alerts.",
)
@takes_caller("--catalog", "--json")
def command(caller: Caller, *, data: str, port: int, listen: str) -> Exit:
    """Run everything on this machine, for real: Temporal on a file, its UI, a worker and the webhook.

    Nothing is simulated: changes go to the AWS account of the environment variables. Restarts and crashes lose nothing; a
    part that ends is started again. Every user of this machine can do what Temporal can, so have the machine to yourself, or
    ask for signed decisions in the catalog. docs/serve.md has the way on to more than one machine. Ctrl-C ends all of it.
    """
    address = parse_address(listen)
    if caller.catalog is None:
        raise bad_input("a worker needs a catalog", NAME_A_CATALOG)
    read_catalog(caller.catalog)
    machine = Machine(Path(data).expanduser().resolve(), caller.catalog.resolve(), port, address)
    try:
        with ends_in_order(machine):
            if not caller.as_json:
                note("starting; this takes some seconds …")
            machine.start()
            if caller.as_json:
                click.echo(json.dumps(machine.addresses))
            else:
                _print(machine)
            while True:
                machine.look_after(note)
                time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        return Exit.DONE


def _print(machine: Machine) -> None:
    addresses = machine.addresses
    say("ready")
    for name, label in (
        ("ui", "Temporal UI"),
        ("temporal", "Temporal"),
        ("alerts", "alerts"),
        ("data", "data"),
    ):
        say(f"  {label:<12} {addresses[name]}")
    if machine.token_file:
        say(f"  {'token':<12} {machine.token_file}: what Alertmanager sends with its alerts")
    say("\nin another shell:\n")
    for name, value in machine.environment.items():
        say(f"  export {name}={shlex.quote(value)}")
    say("\n  runbook doctor\n  runbook drill\n\nCtrl-C ends all of it; the next start continues every run")
