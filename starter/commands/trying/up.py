"""``runbook up``: a local sandbox, in the foreground."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path

import click

from starter.caller import Caller, example, takes_caller
from starter.exits import Exit, check_extra
from starter.printing import note, say
from starter.processes.managed_process import ends_in_order
from starter.processes.world import World

CHECK_SECONDS = 0.5
STARTED = (
    "runbook start rollback prod/ai-processor --as alice",
    "runbook approve prod/ai-processor --as bob",
    "runbook watch prod/ai-processor",
)
ADDRESS_IN_USE = (
    "runbook list --open",
    "runbook watch prod/ai-processor",
    "runbook ack prod/ai-processor --as alice",
    "runbook approve prod/ai-processor --as bob",
    "runbook review prod/ai-processor",
)


@click.command("up", epilog=example("runbook up", "runbook up --alerts", "runbook up --no-worker --json"))
@click.option("--no-worker", is_flag=True, help="Do not start a worker.")
@click.option("--alerts", is_flag=True, help="Also fire alert rules: Alertmanager calls the webhook.")
@click.option("--encrypted", is_flag=True, help="Encrypt histories; the UI on this machine decrypts them.")
@click.option("--signed", is_flag=True, help="Ask for signed decisions in prod, by keys made on the spot.")
@click.option(
    "--strategies",
    is_flag=True,
    help="Also start a service whose deployments shift traffic, in staging and prod.",
)
@click.option("--folder", metavar="DIR", help="Keep the sandbox's files here. Default: a temporary folder.")
@takes_caller("--json")
def command(
    caller: Caller,
    *,
    no_worker: bool,
    alerts: bool,
    encrypted: bool,
    signed: bool,
    strategies: bool,
    folder: str | None,
) -> Exit:
    """Start a local sandbox in the foreground: Temporal, a simulated ECS with real processes, Prometheus and a worker.

    The addresses are printed when the first releases run. Ctrl-C ends all of it. With --alerts, alerts open incidents,
    after seconds instead of minutes. With --signed, decisions in prod are signed by ssh keys, and changes verify that.
    """
    check_extra("sandbox", "the sandbox")
    world = World(alerts=alerts, encrypted=encrypted, signed=signed, strategies=strategies)
    try:
        with ends_in_order(world):
            if not caller.as_json:
                note("starting; this takes some seconds …")
            world.start(*(("--folder", folder) if folder else ()), worker=not no_worker)
            if alerts:
                world.start_webhook()
            if caller.as_json:
                click.echo(json.dumps(world.addresses))
            else:
                _print(world, with_worker=not no_worker)
            while True:
                for why in world.lost():
                    note(f"{why}; the sandbox continues without it")
                time.sleep(CHECK_SECONDS)
    except KeyboardInterrupt:
        return Exit.DONE


def _print(world: World, *, with_worker: bool) -> None:
    addresses = world.addresses
    say("ready")
    for name, label in (
        ("ui", "Temporal UI"),
        ("temporal", "Temporal"),
        ("aws", "AWS"),
        ("prometheus", "Prometheus"),
    ):
        say(f"  {label:<12} {addresses[name] or 'none: install the package prometheus to have one'}")
    extras = {"alertmanager": "Alertmanager", "webhook": "webhook", "slack": "Slack", "codec": "codec server"}
    for name, label in extras.items():
        if name in addresses:
            say(f"  {label:<12} {addresses[name]}")
    for environment, url in addresses["service"].items():
        say(f"  {environment:<12} {url}")
    for service, urls in addresses.get("services", {}).items():
        for environment, url in urls.items():
            say(f"  {environment}/{service} {url}")
    say(f"  {'catalog':<12} {addresses['catalog']}")
    say(f"  {'worker':<12} {world.worker_log if with_worker else 'none: start one with `runbook worker`'}")
    say("\nin another shell:\n")
    for name, value in addresses["env"].items():
        say(f"  export {name}={shlex.quote(value)}")
    alerts = "webhook" in addresses
    what = "after half a minute, once enough requests are measured" if alerts else "then roll back"
    say(f"\nbreak prod, {what}:\n")
    say("  python -m sandbox deploy --environment prod --version 1.1.0 --set FAULT_ERROR_RATE=0.3 --wait")
    for command in ADDRESS_IN_USE if alerts else STARTED:
        say(f"  {_signing(command, world.keys)}")
    say("\nCtrl-C ends all of it")


def _signing(command: str, keys: Path | None) -> str:
    """Say with which key a person signs what they decide."""
    _, named, person = command.partition(" --as ")
    if keys is None or not named or "ack" in command.split():
        return command
    return f"{command} --sign {shlex.quote(str(keys / person))}"
