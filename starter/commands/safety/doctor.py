"""``runbook doctor``: is everything in place, before it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from runbook_model.checks import Check, DoctorRequest
from runbook_model.text.plain_text import unbroken
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.known_targets import check_names, environments_of
from starter.doctor.checkup import check_all, check_catalog, unknown_after
from starter.exits import CliError, Exit, bad_input
from starter.names import Scope
from starter.printing import answer, has_room, note, say, show
from starter.target_options import takes_scope

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table


SIGNS = {True: "✔", False: "✘", None: "–"}  # noqa: RUF001 - a dash, as lists have it
COLOURS = {True: "green", False: "red", None: "dim"}


@click.command(
    "doctor",
    epilog=example("runbook doctor", "runbook doctor prod --json", "runbook doctor --fix"),
)
@takes_scope
@click.option("--fix", is_flag=True, help="Register the search attributes that are missing.")
@takes_caller("--catalog", "--json")
def command(caller: Caller, *, scope: Scope, fix: bool) -> Exit:
    """Check everything that procedures need, and print how to fix what is not in place.

    A worker does the checks of outside systems, with its own identity and network. Nothing is changed, except search
    attributes with --fix. Exit code 1 when something has to be fixed, 4 when Temporal is not reachable.
    """
    check, catalog = check_catalog(caller.catalog)
    if catalog is not None:
        check_names(catalog, scope)
    names = environments_of(catalog, scope)
    requests = [DoctorRequest(environment=name, service=scope.service) for name in names]
    if not requests and check.ok is None:
        raise bad_input("no environment is given", "name one, give --catalog FILE, or set RUNBOOK_CATALOG")
    ending = None
    try:
        checks = [check, *converse(lambda client: check_all(client, requests, fix=fix))]
    except CliError as error:
        if error.code is not Exit.TEMPORAL_UNREACHABLE:
            raise
        ending = error.code
        temporal = Check(name="temporal", ok=False, detail=error.message, fix=error.fix)
        checks = [check, temporal, *unknown_after("temporal", requests)]
    _print(caller, checks)
    return ending or (Exit.NOT_DONE if any(item.ok is False for item in checks) else Exit.DONE)


def _print(caller: Caller, checks: Sequence[Check]) -> None:
    if caller.as_json:
        answer({"checks": [document(check) for check in checks]})
        return
    for item in () if has_room() else checks:
        say(line(item))
    if has_room():
        show(_page(checks))
    count = {ok: sum(check.ok is ok for check in checks) for ok in SIGNS}
    note(f"{count[True]} in place, {count[False]} to fix, {count[None]} not configured or unknown")


def line(check: Check) -> str:
    """Return a check as programs read it, tabs between its fields."""
    where = (check.environment or "-", check.service or "-")
    return "\t".join((*where, check.name, SIGNS[check.ok], check.detail, check.fix or "-"))


def document(check: Check) -> dict[str, Any]:
    """Return the JSON of a check; ``mend`` is the old name of ``fix``, until 1.0."""
    without = None if check.rollback else {"rollback"}
    return check.model_dump(mode="json", exclude=without) | {"mend": check.fix}


def _page(checks: Sequence[Check]) -> Group:
    """Lay the checks out by place: sign, name, what was found, and the fix below."""
    from rich.console import Group  # noqa: PLC0415 - programs that read JSON need not wait for it

    width = max(len(check.name) for check in checks)
    places = dict.fromkeys(_where(check) for check in checks)
    return Group(
        *(_place(place, [check for check in checks if _where(check) == place], width) for place in places)
    )


def _place(place: str, checks: Sequence[Check], width: int) -> Table:
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = grid(place, None, width)
    for group in grouped(checks):
        first = group[0]
        table.add_row(Text(f" {SIGNS[first.ok]}", COLOURS[first.ok]), first.name, unbroken(first.detail))
        if len(group) > 1:
            others = ", ".join(item.name.removeprefix("prometheus-") for item in group[1:])
            table.add_row("", "", Text(f"also: {others}", "dim"))
        if first.fix:
            table.add_row("", "", Text(f"→ {unbroken(first.fix)}", "bold"))
    return table


def grid(title: str, *widths: int | None) -> Table:
    """Return an empty table with columns of some widths at least, and one more for long text."""
    from rich.table import Table  # noqa: PLC0415 - likewise

    table = Table.grid(padding=(0, 1))
    table.title, table.title_style, table.title_justify = f"\n{title}", "bold", "left"
    for width in widths:
        table.add_column(no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    return table


def grouped(checks: Iterable[Check]) -> list[list[Check]]:
    """Put together what says the same of the same place."""
    groups: dict[tuple[object, ...], list[Check]] = {}
    for check in checks:
        groups.setdefault((_where(check), check.ok, check.detail, check.fix), []).append(check)
    return list(groups.values())


def _where(check: Check) -> str:
    if check.environment is None:
        return "everywhere"
    return f"{check.environment}/{check.service}" if check.service else check.environment
