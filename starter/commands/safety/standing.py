"""``runbook standing``: what people agree to beforehand, for changes that nobody asked for."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from runbook_model.authority.standing import StandingFile, StandingOrder
from runbook_model.calls import ACTIONS
from runbook_model.text.durations import parse_duration
from runbook_model.text.sentences import did_you_mean
from starter import completion
from starter.caller import Caller, example, takes_caller
from starter.client.connect import namespace
from starter.client.known_targets import check_known_procedure, check_target
from starter.client.run_view import stamp
from starter.client.standing import (
    STANDING,
    add,
    environment_of,
    read_file,
    sign_here,
    signed_by,
    signed_elsewhere,
    statement_of,
)
from starter.exits import CliError, bad_input
from starter.names import WholeNumber, parse_pair
from starter.printing import answer, clock, list_rows, note, say, write_file
from starter.signing import KEY, SigningOptions, takes_signing

COLUMNS = ("name", "targets", "procedures", "calls", "most tasks", "until", "signed by")


@click.group(
    "standing",
    epilog=example(
        "runbook standing sign standing/restarts.json --target prod/shop --procedure service-down "
        "--action UpdateService --until 90d --sign ~/.ssh/decisions",
        "runbook standing list",
    ),
)
def command() -> None:
    """Approve automatic changes in advance, where decisions are signed; list these approvals."""


@command.command(
    "sign",
    short_help="Sign a standing statement.",
    epilog=example(
        "runbook standing sign standing/more.json --target prod/shop --procedure high-latency --action UpdateService "
        "--most-tasks 4 --until 90d --as bob --sign ~/.ssh/decisions",
        "runbook standing sign standing/more.json --as carol --sign ~/.ssh/decisions",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--target",
    "targets",
    metavar="E/S",
    multiple=True,
    shell_complete=completion.targets,
    help="A service that may be changed; repeat it for more of one environment.",
)
@click.option(
    "--procedure",
    "procedures",
    metavar="P",
    multiple=True,
    help="Which procedure may change it; may be repeated.",
)
@click.option(
    "--action",
    "actions",
    metavar="CALL",
    multiple=True,
    help=f"A call that may be made; may be repeated. The product's own: {', '.join(ACTIONS)}.",
)
@click.option(
    "--most-tasks",
    metavar="N",
    type=WholeNumber(min=1),
    help="The most tasks that may be set. Without it no count may be.",
)
@click.option(
    "--until", metavar="T", help="How long it counts, such as 90d, or until when: 2027-01-31T12:00:00Z."
)
@takes_signing()
@takes_caller("--as", "--catalog", "--json")
def sign(  # noqa: PLR0913 - what an order says, each an option
    caller: Caller,
    file: Path,
    *,
    targets: tuple[str, ...],
    procedures: tuple[str, ...],
    actions: tuple[str, ...],
    most_tasks: int | None,
    until: str | None,
    signing: SigningOptions,
) -> None:
    """Sign a standing statement: which procedures may change which targets automatically, how far, until when.

    FILE is made by the first person, who gives the options; whoever signs next names the FILE only. It counts once as many
    people have signed as the environment's approvals need, and it lies in the folder that RUNBOOK_STANDING of the worker
    names. Temporal is not asked; TEMPORAL_NAMESPACE goes into the statement.
    """
    what = {
        "targets": targets,
        "procedures": procedures,
        "actions": actions,
        "most_tasks": most_tasks,
        "until": until,
    }
    given = {name: value for name, value in what.items() if value}
    found = _file(caller, file, given)
    if signing.elsewhere:
        signed = signed_elsewhere(signing, found.order)
    else:
        statement = statement_of(found.order, caller.name, namespace())
        _explain(found.order)
        if signing.print_statement:
            if not file.exists():
                write_file(file, found.model_dump_json(indent=2) + "\n")
            say(statement.text())
            return
        if not signing.key:
            raise bad_input("nothing signs it", f"give --sign KEYFILE, or set {KEY}; or --print-statement")
        signed = asyncio.run(sign_here(statement, signing.key))
    more = add(file, found, signed)
    if caller.as_json:
        answer(_document(file, more))
    else:
        say(f"{file}: signed by {', '.join(signed_by(more))}, until {clock(more.order.until)}")


def _file(caller: Caller, path: Path, given: dict[str, Any]) -> StandingFile:
    """Return the file that is there, or a new one by the options."""
    if path.exists():
        if given:
            raise bad_input(
                f"{path} is there and says what is agreed to",
                "leave the other options out, or name another FILE",
            )
        return read_file(path)
    if path.suffix != ".json":
        raise bad_input(f"{path}: workers read files that end in .json", f"name it {path.name}.json")
    if missing := [f"--{name[:-1]}" for name in ("targets", "procedures", "actions") if name not in given] + (
        [] if "until" in given else ["--until"]
    ):
        raise bad_input(
            f"{path} is not there, and a new one needs {', '.join(missing)}",
            "`runbook standing sign --help` has an example",
        )
    return StandingFile(order=_order(caller, given), statements=())


def _order(caller: Caller, given: dict[str, Any]) -> StandingOrder:
    targets = [parse_pair(text) for text in given["targets"]]
    for target in targets:
        check_target(caller.catalog, target)
    if len({target.environment for target in targets}) > 1:
        raise bad_input("a standing statement is for one environment", "make one file for each")
    for procedure in given["procedures"]:
        check_known_procedure(procedure, caller.catalog)
    for action in given["actions"]:
        if action not in ACTIONS and (near := did_you_mean(action, ACTIONS)):
            raise bad_input(
                f"no procedure calls {action}{near}", f"the product's own call {', '.join(ACTIONS)}"
            )
    return StandingOrder(
        targets=tuple(map(str, targets)),
        procedures=given["procedures"],
        actions=given["actions"],
        most_tasks=given.get("most_tasks"),
        until=_until(given["until"]),
    )


def _until(text: str) -> datetime:
    """Read a time, or how long from now."""
    try:
        length = parse_duration(text)
    except ValueError:
        length = None
    now = datetime.now(UTC)
    try:
        until = now + length if isinstance(length, timedelta) else TypeAdapter(datetime).validate_python(text)
    except (ValidationError, OverflowError):
        raise bad_input(f"--until {text} is no time", "write 90d, or 2027-01-31T12:00:00Z") from None
    until = (until if until.tzinfo else until.astimezone()).astimezone(UTC).replace(microsecond=0)
    if until <= now:
        raise bad_input(f"--until {text} is past", "write 90d, or a time to come")
    return until


def _explain(order: StandingOrder) -> None:
    """Say on stderr what is about to be signed."""
    tasks = f"{order.most_tasks} tasks at most" if order.most_tasks else "no change of the number of tasks"
    note(
        f"{', '.join(order.procedures)} may change {', '.join(order.targets)} without asking, until {clock(order.until)}:"
    )
    note(f"  {', '.join(order.actions)}; {tasks}")


@command.command(
    "list",
    short_help="List standing statements, and who signed them.",
    epilog=example("runbook standing list", "runbook standing list /etc/runbook/standing --json"),
)
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@takes_caller("--json")
def list_standing(caller: Caller, folder: Path | None) -> None:
    """List standing statements, and who signed them as they say; `runbook doctor` says which ones count.

    FOLDER is where they are. Default: RUNBOOK_STANDING.
    """
    where = folder or (Path(os.environ[STANDING]) if os.environ.get(STANDING) else None)
    if where is None:
        raise bad_input("no folder is given", f"name a FOLDER, or set {STANDING}")
    if not where.is_dir():
        raise bad_input(f"{where} is not a folder", f"correct {STANDING}")
    found: list[tuple[Path, StandingFile]] = []
    for path in sorted(where.glob("*.json")):
        try:
            found.append((path, read_file(path)))
        except CliError as error:
            note(str(error))
    if caller.as_json:
        answer([_document(path, file) for path, file in found])
    else:
        list_rows(COLUMNS, [(_row(path, file), _colour(file)) for path, file in found])


def _document(path: Path, file: StandingFile) -> dict[str, Any]:
    """Return the JSON of one file."""
    order = file.order
    return {
        "name": path.stem,
        "file": str(path),
        "environment": environment_of(order),
        "targets": order.targets,
        "procedures": order.procedures,
        "actions": order.actions,
        "most_tasks": order.most_tasks,
        "until": stamp(order.until),
        "signed_by": signed_by(file),
    }


def _row(path: Path, file: StandingFile) -> tuple[str, ...]:
    order = file.order
    lists = (", ".join(names) for names in (order.targets, order.procedures, order.actions))
    tasks = "-" if order.most_tasks is None else str(order.most_tasks)
    return path.stem, *lists, tasks, clock(order.until), ", ".join(signed_by(file)) or "nobody"


def _colour(file: StandingFile) -> str:
    return "red" if file.order.until < datetime.now(UTC) else ""
