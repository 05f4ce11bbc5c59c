"""``runbook doctor``: is everything in place, before it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runbook_model.checks import Check, DoctorRequest
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.doctor.checkup import check_all, check_catalog, without_temporal
from starter.exits import CliError, Exit, bad_input
from starter.names import check_name
from starter.printing import answer, clean, has_room, note, say, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Group
    from rich.table import Table

    from runbook_model.catalog.catalog import Catalog

SIGNS = {True: "✔", False: "✘", None: "–"}  # noqa: RUF001 - a dash, as lists have it
COLOURS = {True: "green", False: "red", None: "dim"}


@click.command(
    "doctor",
    epilog=example("runbook doctor", "runbook doctor --environment prod --json", "runbook doctor --fix"),
)
@click.option("--environment", metavar="E", help="Only this environment; else all of the catalog.")
@click.option("--service", metavar="S", help="Only this service.")
@click.option("--fix", is_flag=True, help="Register the search attributes that are missing.")
@takes_caller
def command(caller: Caller, *, environment: str | None, service: str | None, fix: bool) -> Exit:
    """Look whether everything that procedures need is in place, and say how to fix what is not.

    What is outside is looked at by a worker: its identity and its network are what counts. Nothing is changed, but
    search attributes with --fix. Exit code 1 when something is to be fixed, 4 when Temporal is not reachable.
    """
    check, catalog = check_catalog(caller.catalog)
    requests = _requests(catalog, environment, service)
    if not requests and check.ok is None:
        raise bad_input(
            "which environment is not said", "give --environment E or --catalog FILE, or set RUNBOOK_CATALOG"
        )
    ending = None
    try:
        checks = [check, *converse(lambda client: check_all(client, requests, fix=fix))]
    except CliError as error:
        if error.code is not Exit.TEMPORAL_AWAY:
            raise
        ending = error.code
        checks = [check, *_without_temporal(error, requests)]
    _tell(caller, checks)
    return ending or (Exit.NOT_DONE if any(one.ok is False for one in checks) else Exit.DONE)


def _requests(catalog: Catalog | None, environment: str | None, service: str | None) -> list[DoctorRequest]:
    """Say what to look at: of a service, every environment that it runs in."""
    if environment is not None:
        check_name("an environment", environment)
    if service is not None:
        check_name("a service", service)
    if catalog is None:
        return [DoctorRequest(environment=environment, service=service)] if environment else []
    if service is not None and service not in catalog.services:
        raise bad_input(f'no service "{service}" in the catalog', f"there are: {_list(catalog.services)}")
    known = catalog.services[service].environments if service else catalog.environments
    if environment is not None and environment not in known:
        whose = f'service "{service}"' if service else "the catalog"
        raise bad_input(f'{whose} has no environment "{environment}"', f"it has: {_list(known)}")
    return [
        DoctorRequest(environment=name, service=service) for name in ([environment] if environment else known)
    ]


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _without_temporal(error: CliError, requests: Sequence[DoctorRequest]) -> Iterator[Check]:
    yield Check(name="temporal", ok=False, detail=error.message, fix=error.fix)
    for name in ("namespace", "search-attributes"):
        yield Check(name=name, ok=None, detail="not told, as temporal is not in place")
    for request in requests:
        yield from without_temporal(request, "temporal")


def _tell(caller: Caller, checks: Sequence[Check]) -> None:
    if caller.as_json:
        answer({"checks": [document(one) for one in checks]})
        return
    for one in () if has_room() else checks:
        fields = (
            one.environment or "-",
            one.service or "-",
            one.name,
            SIGNS[one.ok],
            one.detail,
            one.fix or "-",
        )
        say("\t".join(fields))
    if has_room():
        show(_page(checks))
    count = {ok: sum(one.ok is ok for one in checks) for ok in SIGNS}
    note(f"{count[True]} in place, {count[False]} to fix, {count[None]} not configured or not told")


def document(check: Check) -> dict[str, Any]:
    """Return the JSON of a check; ``mend`` is the old name of ``fix``, until 1.0."""
    return check.model_dump(mode="json") | {"mend": check.fix}


def _page(checks: Sequence[Check]) -> Group:
    """Lay the checks out by place: sign, name, what was found, and the fix below."""
    from rich.console import Group  # noqa: PLC0415 - programs that read JSON need not wait for it

    width = max(len(one.name) for one in checks)
    places = dict.fromkeys(_where(one) for one in checks)
    return Group(*(_place(place, [one for one in checks if _where(one) == place], width) for place in places))


def _place(place: str, checks: Sequence[Check], width: int) -> Table:
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table.grid(padding=(0, 1))
    table.title, table.title_style, table.title_justify = f"\n{place}", "bold", "left"
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    for group in grouped(checks):
        first = group[0]
        table.add_row(Text(f" {SIGNS[first.ok]}", COLOURS[first.ok]), first.name, clean(first.detail))
        if len(group) > 1:
            others = ", ".join(one.name.removeprefix("prometheus-") for one in group[1:])
            table.add_row("", "", Text(f"also: {others}", "dim"))
        if first.fix:
            table.add_row("", "", Text(f"→ {clean(first.fix)}", "bold"))
    return table


def grouped(checks: Iterable[Check]) -> list[list[Check]]:
    """Put together what says the same of the same place."""
    groups: dict[tuple[object, ...], list[Check]] = {}
    for one in checks:
        groups.setdefault(_saying(one), []).append(one)
    return list(groups.values())


def _saying(check: Check) -> tuple[object, ...]:
    return (_where(check), check.ok, check.detail, check.fix)


def _where(check: Check) -> str:
    if check.environment is None:
        return "everywhere"
    return f"{check.environment}/{check.service}" if check.service else check.environment
