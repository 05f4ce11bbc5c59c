"""``python -m sandbox up`` starts the world; ``deploy`` is the demo company's delivery pipeline.

``break-local`` breaks the compose project. ``session`` is somebody who starts a transaction in a database by hand;
``programs`` says what the world can use here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sandbox.engine.breaking import add_options
from sandbox.names import BLUE_GREEN, BLUE_GREEN_ENVIRONMENTS, ECS_ENVIRONMENTS, SERVICE, TOKEN


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="sandbox: %(message)s", stream=sys.stderr)
    return int(options.command(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="Start the sandbox, deploy to it, and break it."
    )
    commands = parser.add_subparsers(required=True)
    up = commands.add_parser("up", help="start the world and stay until Ctrl-C")
    up.add_argument(
        "--folder", type=Path, help="keep everything here; default: a folder that is removed at the end"
    )
    up.add_argument("--no-load", action="store_true", help="send the service no requests")
    up.add_argument("--no-prometheus", action="store_true", help="start without Prometheus")
    up.add_argument(
        "--wait-for-prometheus",
        action="store_true",
        help="be ready once Prometheus has seen every environment",
    )
    up.add_argument(
        "--alertmanager-webhook",
        metavar="URL",
        help=f"start Alertmanager with the product's rules, hastened, and have it call this with the token in {TOKEN}",
    )
    up.add_argument("--ui-codec", metavar="URL", help="have Temporal's UI decrypt payloads there")
    up.add_argument(
        "--signed",
        metavar="NAMES",
        help="the catalog asks for signed decisions in prod, by these people, with commas between them",
    )
    up.add_argument(
        "--strategies",
        action="store_true",
        help=f"also start {BLUE_GREEN}, a service whose deployments shift traffic, in staging and prod",
    )
    up.add_argument("--until-stdin-closes", action="store_true", help="also end when stdin closes")
    up.add_argument("--json", action="store_true", help="print the addresses as one line of JSON")
    up.add_argument(
        "--announce",
        action="store_true",
        help="print the addresses once Temporal answers, so that a worker starts meanwhile, and `ready` in the end",
    )
    up.set_defaults(command=_up)
    deploy = commands.add_parser("deploy", help="release a version (against AWS_ENDPOINT_URL); prints JSON")
    deploy.add_argument("--environment", required=True, choices=sorted(ECS_ENVIRONMENTS))
    deploy.add_argument(
        "--service",
        default=SERVICE,
        choices=(SERVICE, BLUE_GREEN),
        help=f"{BLUE_GREEN} is there after `up --strategies`",
    )
    deploy.add_argument("--version", required=True, help="a version number, such as 1.1.0")
    deploy.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="container environment"
    )
    deploy.add_argument("--cpu", type=int, default=256, help="CPU units, 1024 are one core")
    deploy.add_argument("--memory", type=int, default=512, help="MiB")
    deploy.add_argument(
        "--wait", action="store_true", help="wait for the deployment's end; exit 1 unless SUCCESSFUL"
    )
    deploy.set_defaults(command=_deploy)
    add_options(
        commands.add_parser(
            "break-local", help="break the compose project (of the sandbox at AWS_ENDPOINT_URL)"
        )
    )
    session = commands.add_parser(
        "session", help="start a transaction in an environment's database, and leave it open until Ctrl-C"
    )
    session.add_argument("statement", help="what is done in it, such as: LOCK TABLE settings")
    session.add_argument("--environment", required=True, choices=sorted(ECS_ENVIRONMENTS))
    session.add_argument("--application", default="psql", help="the name that the database shows for it")
    session.set_defaults(command=_session)
    programs = commands.add_parser("programs", help="print as JSON which programs are here; null: not found")
    programs.set_defaults(command=_programs)
    return parser


def _up(options: argparse.Namespace) -> int:
    folder = options.folder or Path(tempfile.mkdtemp(prefix="runbook-sandbox-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        from sandbox.life import live  # noqa: PLC0415 - `deploy` and `--help` would wait for all of it

        return asyncio.run(live(options, folder.resolve()))
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


def _deploy(options: argparse.Namespace) -> int:
    import boto3  # noqa: PLC0415 - half a second that --help and a wrong option need not wait

    from sandbox.demo.delivery import await_end, deliver, release_definition  # noqa: PLC0415

    if "AWS_ENDPOINT_URL" not in os.environ:
        sys.stderr.write("sandbox: set AWS_ENDPOINT_URL to the sandbox's AWS address (see `up`)\n")
        return 2
    environments = BLUE_GREEN_ENVIRONMENTS if options.service == BLUE_GREEN else ECS_ENVIRONMENTS
    environment = environments[options.environment]
    settings = dict(setting.partition("=")[::2] for setting in options.set)
    definition = release_definition(
        environment, options.version, settings, cpu=options.cpu, memory=options.memory
    )
    ecs = boto3.client("ecs")
    delivery = deliver(ecs, environment, definition)
    facts = {"task_definition": delivery.task_definition, "deployment_id": delivery.deployment_id}
    if options.wait:
        facts["status"] = await_end(ecs, environment)
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0 if facts.get("status", "SUCCESSFUL") == "SUCCESSFUL" else 1


def _session(options: argparse.Namespace) -> int:
    """Keep a session open; 1 when the database refuses it or ends it."""
    from sandbox.catalog import dsn_variable  # noqa: PLC0415 - see _deploy
    from sandbox.postgres.server import forget_session  # noqa: PLC0415
    from sandbox.postgres.wire import DatabaseError  # noqa: PLC0415

    variable = dsn_variable(options.environment)
    if variable not in os.environ:
        sys.stderr.write(f"sandbox: set {variable} to the operator's DSN (see `up`)\n")
        return 2
    try:
        session = forget_session(os.environ[variable], options.application, options.statement)
    except DatabaseError as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    sys.stdout.write("in a transaction\n")
    sys.stdout.flush()
    session.wait_closed()
    sys.stderr.write("sandbox: the database ended the session\n")
    return 1


def _programs(_: argparse.Namespace) -> int:
    from sandbox.monitoring.alertmanager import find_alertmanager  # noqa: PLC0415 - see _deploy
    from sandbox.monitoring.prometheus import find_prometheus  # noqa: PLC0415
    from sandbox.postgres.files import find_postgres  # noqa: PLC0415

    postgres = find_postgres()
    found = {
        "prometheus": find_prometheus(),
        "alertmanager": find_alertmanager(),
        "postgresql": str(postgres) if postgres else None,
    }
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
