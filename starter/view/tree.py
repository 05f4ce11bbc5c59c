"""Runs as a tree: procedures below the incident or the procedure that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.ids import incident_id, remediation_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starter.client.runs import Run


def arrange(runs: Iterable[Run]) -> Iterator[tuple[int, Run]]:
    """Order runs so that each follows what it belongs to, with its depth; otherwise they stay in their order."""
    listed = list(runs)
    below: dict[str | None, list[Run]] = {}
    for run in listed:
        above = next((one for one in listed if one is not run and _belongs(run, one)), None)
        below.setdefault(above.run_id if above else None, []).append(run)
    yield from _walk(below, None, 0)


def _walk(below: dict[str | None, list[Run]], above: str | None, depth: int) -> Iterator[tuple[int, Run]]:
    for run in below.get(above, []):
        yield depth, run
        yield from _walk(below, run.run_id, depth + 1)


def _belongs(run: Run, above: Run) -> bool:
    """Whether one run is the other's: its child, or the remediation of a target whose incident was open then."""
    target = (run.environment, run.service)
    is_incidents = run.id == remediation_id(*target) and above.id == incident_id(*target)
    if run.parent != above.id and not is_incidents:
        return False
    began_before_its_end = above.ended is None or run.started <= above.ended
    ended_after_its_start = run.ended is None or run.ended >= above.started
    return began_before_its_end and ended_after_its_start
