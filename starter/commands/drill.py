"""``runbook drill``: would a rollback work tonight."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from runbook_model.catalog.catalog import load_catalog
from runbook_model.checks import Drilled
from runbook_model.errors import CatalogError
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.drills import drill, schedule, unschedule
from starter.commands.doctor import document
from starter.exits import Exit, bad_input, of_error
from starter.names import check_name
from starter.printing import answer, clean, clock, has_room, note, say, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table
    from temporalio.client import Client

    from runbook_model.checks import Check
    from starter.client.drills import Planned

OFF = "off"
SHOWN = 3
SIGNS = {True: "✔", False: "✘", None: "–"}  # noqa: RUF001 - a dash, as lists have it
COLOURS = {True: "green", False: "red", None: "dim"}


@click.command(
    "drill",
    epilog=example(
        "runbook drill",
        "runbook drill --environment prod --json",
        'runbook drill --schedule "CRON_TZ=Europe/Berlin 0 6 * * *"',
        "runbook drill --schedule off --environment staging",
    ),
)
@click.option("--environment", metavar="E", help="Only this environment; else all of the catalog.")
@click.option(
    "--schedule",
    "cron",
    metavar="CRON",
    help="Have it done by itself from now on, in UTC unless CRON_TZ says otherwise; `off` ends that.",
)
@takes_caller
def command(caller: Caller, *, environment: str | None, cron: str | None) -> Exit:
    """Find out for every service whether a rollback would work now; nothing is changed.

    Everything that a rollback reads is read, and its plan is made. People are told on the environment's channels when
    something that worked no longer does, and when it does again. Exit code 1 when something would not work.
    """
    environments = _environments(caller, environment)
    if cron is not None:
        _show_schedules(caller, cron, converse(lambda client: _schedule(client, environments, cron)))
        return Exit.DONE
    drills = converse(lambda client: _drill(client, environments))
    if caller.as_json:
        answer({"drills": [_document(name, one) for name, one in drills.items()]})
    else:
        for name, one in drills.items():
            _tell(name, one)
    fine = all(isinstance(one, Drilled) and one.would_work for one in drills.values())
    return Exit.DONE if fine else Exit.NOT_DONE


def _environments(caller: Caller, environment: str | None) -> list[str]:
    if environment is not None:
        check_name("an environment", environment)
    if caller.catalog is None:
        if environment is None:
            raise bad_input(
                "which environment is not said",
                "give --environment E or --catalog FILE, or set RUNBOOK_CATALOG",
            )
        return [environment]
    try:
        known = sorted(load_catalog(caller.catalog).environments)
    except CatalogError as error:
        raise of_error(error) from error
    if environment is not None and environment not in known:
        raise bad_input(f'no environment "{environment}" in the catalog', f"there are: {', '.join(known)}")
    return [environment] if environment else known


async def _drill(client: Client, environments: Sequence[str]) -> dict[str, Drilled | str]:
    found = await asyncio.gather(*(drill(client, one) for one in environments))
    return dict(zip(environments, found, strict=True))


async def _schedule(client: Client, environments: Sequence[str], cron: str) -> list[Planned]:
    if cron == OFF:
        return [await unschedule(client, one) for one in environments]
    return [await schedule(client, one, cron) for one in environments]


def _show_schedules(caller: Caller, cron: str, schedules: Sequence[Planned]) -> None:
    if caller.as_json:
        answer({"schedules": [_scheduled(cron, one) for one in schedules]})
        return
    for one in schedules:
        if cron == OFF:
            say(f"{one.environment}: {'no longer scheduled' if one.was_there else 'was not scheduled'}")
        else:
            times = ", ".join(clock(at) for at in one.next_times[:SHOWN]) or "never"
            say(f"{one.environment}: scheduled; next {times}")


def _scheduled(cron: str, one: Planned) -> dict[str, Any]:
    times = [at.isoformat().replace("+00:00", "Z") for at in one.next_times]
    on = None if cron == OFF else cron
    return {"environment": one.environment, "cron": on, "next": times, "was_there": one.was_there}


def _document(environment: str, found: Drilled | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"environment": environment, "would_work": False, "error": found, "services": []}
    drilled = found.model_dump(mode="json", exclude={"known", "services", "checks"})
    groups = [(name, _of(found, name)) for name in (None, *found.services)]
    services = [
        {
            "service": name,
            "would_work": _works(checks),
            "checks": [document(one) for one in checks],
        }
        for name, checks in groups
    ]
    return {**drilled, "would_work": found.would_work, "error": None, "services": services}


def _of(drilled: Drilled, service: str | None) -> list[Check]:
    return [one for one in drilled.checks if one.service == service]


def _works(checks: Iterable[Check]) -> bool:
    return all(one.ok is not False for one in checks)


def _tell(environment: str, found: Drilled | str) -> None:
    """Say of each service whether it would work, and of what would not the reason and the fix."""
    if isinstance(found, str):
        say(f"{environment}: {found}")
        return
    if has_room():
        show(_table(found))
    else:
        for name in (None, *found.services):
            for one in _told(_of(found, name)):
                fields = (environment, name or "-", one.name, SIGNS[one.ok], one.detail, one.fix or "-")
                say("\t".join(fields))
    changes = (("broke", found.broke), ("works again", found.mended))
    listed = [f"{what}: {one.service or 'all services'} {one.name}" for what, some in changes for one in some]
    if found.since is None:
        note(f"{environment}: the first drill, there is none to compare it with")
    else:
        note(
            f"{environment}, since the drill of {clock(found.since)}: {'; '.join(listed) or 'nothing changed'}"
        )
    if found.untold:
        note(f"people were not told what changed, the next drill tells them: {found.untold}")


def _told(checks: Sequence[Check]) -> list[Check]:
    """Choose what is worth a line: what is wrong, else the plan, else what there is."""
    wrong = [one for one in checks if one.ok is False]
    return wrong or [one for one in checks if one.name == "rollback-plan"] or list(checks[:1])


def _table(drilled: Drilled) -> Table:
    from rich.table import Table  # noqa: PLC0415 - programs that read JSON need not wait for it
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table.grid(padding=(0, 1))
    table.title, table.title_style, table.title_justify = f"\n{drilled.environment}", "bold", "left"
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name in (None, *drilled.services):
        for one in _told(_of(drilled, name)):
            sign = Text(f" {SIGNS[one.ok]}", COLOURS[one.ok])
            table.add_row(sign, name or "all services", one.name, clean(one.detail))
            if one.fix:
                table.add_row("", "", "", Text(f"→ {clean(one.fix)}", "bold"))
    return table
