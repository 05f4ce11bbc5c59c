"""A step of a page: one activity, shown while it runs and with what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from temporalio.exceptions import FailureError, is_cancelled_exception

from runbook_model.measured.evidence import citations
from runbook_model.steps import StepPlace
from workflows.decisions.endings import problem_of
from workflows.page.options import ActivityOptions, execute
from workflows.page.telling.record import Record


async def run_step(
    record: Record,
    words: str,
    do: Callable[[Any, Any], Any],
    given: object,
    in_turn: Sequence[ActivityOptions],
) -> Any:
    """Run an activity as a step of the page; when its attempts have run out, continue with the next options."""
    place = record.begin_step(words)
    try:
        at = StepPlace(heading=record.report.heading, number=place + 1)
        result: Any = await execute(do, given, in_turn, place=at, summary=words)
    except FailureError as error:
        cancelled = is_cancelled_exception(error)
        record.end_step(place, "cancelled" if cancelled else "failed", problem_of(error).line[:500])
        raise
    except asyncio.CancelledError:
        record.end_step(place, "cancelled")
        raise
    record.end_step(place, "done", getattr(result, "summary", None), citations(result))
    return result
