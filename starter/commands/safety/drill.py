"""``runbook drill``: would procedures work now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
from temporalio.client import Client

from runbook_model.checks import PLAN, Check, Drilled
from runbook_model.text.plain_text import unbroken
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.drills import Planned, drill, schedule, unschedule
from starter.client.known_targets import check_names, environments_of, read_catalog
from starter.commands.safety.doctor import COLOURS, SIGNS, document, grid, line
from starter.exits import Exit, bad_input
from starter.names import Scope
from starter.printing import answer, clock, has_room, note, say, show
from starter.target_options import takes_scope

if TYPE_CHECKING:
    from rich.table import Table


OFF = "off"
SHOWN = 3


@click.command(
    "drill",
    epilog=example(
        "runbook drill",
        "runbook drill prod --json",
        'runbook drill --schedule "CRON_TZ=Europe/Berlin 0 6 * * *"',
        "runbook drill staging --schedule off",
    ),
)
@takes_scope
@click.option(
    "--schedule",
    "cron",
    metavar="CRON",
    help="Run drills on this schedule, in UTC unless CRON_TZ says otherwise; `off` removes it.",
)
@takes_caller("--catalog", "--json")
def command(caller: Caller, *, scope: Scope, cron: str | None) -> Exit:
    """Check whether procedures would work now, for every service of an environment. Nothing is changed.

    A drill makes the checks of `runbook doctor`, and a plan of every procedure. With E/S only that service is shown. People are
    notified on the environment's channels when something stops working, and when it works again. Exit code 1 when
    something would not work.
    """
    environments = _environments(caller, scope)
    if cron is not None:
        if scope.service is not None:
            raise bad_input("--schedule is for whole environments", "leave out the service")
        _show_schedules(caller, cron, converse(lambda client: _schedule(client, environments, cron)))
        return Exit.DONE
    found = converse(lambda client: _drill(client, environments))
    drills = {name: _only(item, scope.service) for name, item in found.items()}
    if caller.as_json:
        answer({"drills": [_document(name, item) for name, item in drills.items()]})
    else:
        for name, item in drills.items():
            _print(name, item)
    fine = all(isinstance(item, Drilled) and item.would_work for item in drills.values())
    return Exit.DONE if fine else Exit.NOT_DONE


def _environments(caller: Caller, scope: Scope) -> list[str]:
    if scope.environment is None and caller.catalog is None:
        raise bad_input("no environment is given", "name one, give --catalog FILE, or set RUNBOOK_CATALOG")
    catalog = read_catalog(caller.catalog) if caller.catalog else None
    if catalog is not None:
        check_names(catalog, scope)
    return sorted(environments_of(catalog, scope))


async def _drill(client: Client, environments: Sequence[str]) -> dict[str, Drilled | str]:
    found = await asyncio.gather(*(drill(client, environment) for environment in environments))
    return dict(zip(environments, found, strict=True))


async def _schedule(client: Client, environments: Sequence[str], cron: str) -> list[Planned]:
    if cron == OFF:
        return [await unschedule(client, environment) for environment in environments]
    return [await schedule(client, environment, cron) for environment in environments]


def _only(found: Drilled | str, service: str | None) -> Drilled | str:
    """Leave out what is about other services."""
    if service is None or isinstance(found, str):
        return found
    ours = {
        field: tuple(item for item in getattr(found, field) if item.service in {None, service})
        for field in ("checks", "broke", "restored")
    }
    return found.model_copy(update={**ours, "services": (service,)})


def _show_schedules(caller: Caller, cron: str, schedules: Sequence[Planned]) -> None:
    if caller.as_json:
        answer({"schedules": [_scheduled(cron, item) for item in schedules]})
        return
    for item in schedules:
        if cron == OFF:
            say(f"{item.environment}: {'no longer scheduled' if item.was_there else 'was not scheduled'}")
        else:
            times = ", ".join(clock(at) for at in item.next_times[:SHOWN]) or "never"
            say(f"{item.environment}: scheduled; next {times}")


def _scheduled(cron: str, planned: Planned) -> dict[str, Any]:
    times = [at.isoformat().replace("+00:00", "Z") for at in planned.next_times]
    on = None if cron == OFF else cron
    return {"environment": planned.environment, "cron": on, "next": times, "was_there": planned.was_there}


def _document(environment: str, found: Drilled | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"environment": environment, "would_work": False, "error": found, "services": []}
    drilled = found.model_dump(mode="json", exclude={"known", "services", "checks"})
    groups = [(name, _of(found, name)) for name in (None, *found.services)]
    services = [
        {
            "service": name,
            "would_work": _works(checks),
            "checks": [document(check) for check in checks],
        }
        for name, checks in groups
    ]
    old_names = {"mended": drilled["restored"], "untold": drilled["not_notified"]}  # until 1.0
    return {**drilled, **old_names, "would_work": found.would_work, "error": None, "services": services}


def _of(drilled: Drilled, service: str | None) -> list[Check]:
    return [check for check in drilled.checks if check.service == service]


def _works(checks: Iterable[Check]) -> bool:
    return all(check.ok is not False for check in checks)


def _print(environment: str, found: Drilled | str) -> None:
    """Say of each service whether it would work, and of what would not the reason and the fix."""
    if isinstance(found, str):
        say(f"{environment}: {found}")
        return
    if has_room():
        show(_table(found))
    else:
        for name in (None, *found.services):
            for item in _worth_a_line(_of(found, name)):
                say(line(item))
    changes = (("broke", found.broke), ("works again", found.restored))
    listed = [
        f"{what}: {item.service or 'all services'} {item.name}" for what, some in changes for item in some
    ]
    if found.since is None:
        note(f"{environment}: this is the first drill")
    else:
        note(
            f"{environment}, since the drill of {clock(found.since)}: {'; '.join(listed) or 'nothing changed'}"
        )
    if found.not_notified:
        note(f"people could not be notified of the changes; the next drill tries again: {found.not_notified}")


def _worth_a_line(checks: Sequence[Check]) -> list[Check]:
    """Choose what is worth a line: what is wrong, else the plans, else what there is."""
    wrong = [check for check in checks if check.ok is False]
    return wrong or [check for check in checks if check.name.endswith(PLAN.name)] or list(checks[:1])


def _table(drilled: Drilled) -> Table:
    from rich.text import Text  # noqa: PLC0415 - programs that read JSON need not wait for it

    table = grid(drilled.environment, None, None, None)
    for name in (None, *drilled.services):
        for item in _worth_a_line(_of(drilled, name)):
            sign = Text(f" {SIGNS[item.ok]}", COLOURS[item.ok])
            table.add_row(sign, name or "all services", item.name, unbroken(item.detail))
            if item.fix:
                table.add_row("", "", "", Text(f"→ {unbroken(item.fix)}", "bold"))
    return table
