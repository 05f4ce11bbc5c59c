"""``runbook catalog``: validate the catalog, write one of what an AWS account has, and print its schema."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from runbook_model.catalog.catalog import Catalog, load_catalog, parse_catalog
from runbook_model.catalog.fields import Url
from runbook_model.catalog.incident_policy import missing, without_a_row
from runbook_model.catalog.prometheus import problem_of_address
from runbook_model.discovered import Discovered, NotDiscovered
from runbook_model.errors import CatalogError
from runbook_model.text.sentences import count_of
from starter.caller import Caller, example, takes_caller
from starter.client.known_targets import here
from starter.discovery.writing import write_catalog
from starter.exits import CliError, Exit, bad_input
from starter.printing import answer, note, say, write_file

ANSWER: TypeAdapter[Discovered | NotDiscovered] = TypeAdapter(Discovered | NotDiscovered)
URL: TypeAdapter[str] = TypeAdapter(Url)


@click.group(
    "catalog",
    epilog=example(
        "runbook catalog discover -o catalog.toml",
        "runbook catalog check catalog.toml",
        "runbook catalog schema > catalog.schema.json",
    ),
)
def command() -> None:
    """Write the catalog of an AWS account; validate a catalog; print its JSON Schema."""


@command.command("check", epilog=example("runbook catalog check catalog.toml"))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@takes_caller("--catalog", "--json")
def check(caller: Caller, file: Path | None) -> Exit:
    """Validate a catalog and print all of its problems.

    FILE is the catalog. Default: --catalog, else RUNBOOK_CATALOG.
    """
    path = file or caller.catalog
    if path is None:
        raise bad_input("no catalog is given", "name a FILE, or set RUNBOOK_CATALOG")
    try:
        catalog = load_catalog(path)
    except CatalogError as error:
        return _wrong(caller, error.problems)
    if unknown := missing(catalog, here()):
        return _wrong(caller, [f"{path}: {problem}" for problem in unknown])
    counts = {
        "environments": len(catalog.environments),
        "services": len(catalog.services),
        "targets": sum(len(service.environments) for service in catalog.services.values()),
        "alerts": len(catalog.alerts),
        "contacts": len(catalog.contacts),
    }
    left_out = without_a_row(catalog)
    if caller.as_json:
        answer({"ok": True, "problems": [], "alerts_without_a_row": left_out, **counts})
    else:
        if left_out:
            note(f"alerts without a row go to a person, and start nothing: {', '.join(left_out)}")
        say(f"{path}: ok: {', '.join(count_of(number, name[:-1]) for name, number in counts.items())}")
        if catalog.contacts and not catalog.channels:
            note(f"{path}: no [[channels]]: messages to contacts are written to the worker's log")
    return Exit.DONE


def _wrong(caller: Caller, problems: Sequence[str]) -> Exit:
    if caller.as_json:
        answer({"ok": False, "problems": list(problems)})
    for problem in problems:
        note(problem)
    return Exit.BAD_INPUT


@command.command(
    "discover",
    epilog=example(
        "AWS_PROFILE=prod runbook catalog discover -o catalog.toml",
        "runbook catalog discover --cluster shop --environment prod --prometheus http://prometheus:9090",
    ),
)
@click.option("--cluster", "clusters", metavar="C", multiple=True, help="Read only this cluster; repeatable.")
@click.option("--environment", metavar="E", help="Name of the environment, where one cluster is read.")
@click.option("--prometheus", metavar="URL", help="Look for the services' metrics in this Prometheus.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this new file instead of stdout.",
)
@takes_caller("--json")
def discover(
    caller: Caller,
    *,
    clusters: tuple[str, ...],
    environment: str | None,
    prometheus: str | None,
    output: Path | None,
) -> None:
    """Write a catalog of the ECS services that AWS has.

    Reads ECS, load balancers, log groups, autoscaling and RDS with the AWS credentials and region of this shell, and
    changes nothing. Next to each value stands where it was found; what was not found, was denied or is for a person to
    decide is commented out. Every change needs one approval, and no alert starts a procedure.
    """
    if output is not None and output.exists():
        raise bad_input(f"{output} exists already", "name another file, or remove it")
    if output is not None and not os.access(output.parent, os.W_OK):
        raise bad_input(f"{output.parent} is not a folder that you may write to", "name another file")
    found = read_account(clusters, prometheus)
    written = write_catalog(found, environment)
    parse_catalog(written.text, str(output or "what was written"))
    if output is not None:
        write_file(output, written.text)
    targets = len(written.places) - len(written.left_out)
    if caller.as_json:
        answer(
            {
                "file": str(output) if output else None,
                "catalog": written.text,
                "environments": written.environments,
                "services": len({place.name.name for place in written.places if place.left_out is None}),
                "targets": targets,
                "left_out": [item._asdict() for item in written.left_out],
                "not_read": [{"action": item.action, "why": item.why} for item in found.unread],
            }
        )
    elif output is None:
        say(written.text.rstrip())
    for item in written.left_out:
        note(f"commented out: {item.service} in {item.cluster}: {item.why}")
    if found.prometheus and found.prometheus.why_not:
        note(f"--prometheus {found.prometheus.url} was not read: {found.prometheus.why_not}")
    for unread in found.unread:
        note(f"{unread.action} was {unread.comment}")
    note(
        f"{count_of(written.environments, 'environment')} and {count_of(targets, 'target')}"
        f"{f' written to {output}' if output else ''}; next: runbook catalog check, runbook doctor, runbook drill"
    )


@command.command("schema", epilog=example("runbook catalog schema > catalog.schema.json"))
@takes_caller()
def schema(caller: Caller) -> None:
    """Print the catalog's JSON Schema, for editors."""
    del caller
    answer(Catalog.model_json_schema())


def read_account(clusters: Sequence[str], prometheus: str | None) -> Discovered:
    """Read the account of this shell's AWS credentials; how far it is stands on a terminal's stderr.

    Raises:
        CliError: nothing could be read.
    """
    words = [word for cluster in clusters for word in ("--cluster", cluster)]
    if prometheus:
        words += ["--prometheus", _address(prometheus)]
    argv = [sys.executable, "-P", "-m", "activities.discovery", *words]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    try:
        found = ANSWER.validate_json(done.stdout)
    except ValidationError:
        raise CliError(Exit.NOT_DONE, f"the reading program ended with exit code {done.returncode}") from None
    if isinstance(found, NotDiscovered):
        raise bad_input(found.error, found.fix)
    return found


def _address(written: str) -> str:
    if problem := problem_of_address(written.rstrip("/")):
        raise bad_input("--prometheus is not the address alone", problem)
    try:
        return URL.validate_python(written.rstrip("/"))
    except ValidationError:
        raise bad_input(
            "--prometheus is not an address, or has a user and a password in it",
            "write http://prometheus:9090",
        ) from None
