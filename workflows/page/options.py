"""How a page's words are run: time limits, retries, queues and cancellation of each kind of step; what a run is found by."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypedDict, cast

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, FailureError, RetryState, is_cancelled_exception
from temporalio.worker import StartActivityInput, WorkflowOutboundInterceptor
from temporalio.workflow import ActivityCancellationType

from runbook_model.measured.evidence import citations
from runbook_model.messages import ProcedureRequest
from runbook_model.names import ids
from runbook_model.reports import State
from runbook_model.steps import STEP_HEADER, StepPlace
from workflows.decisions.endings import problem_of
from workflows.page.telling.record import Record

_PLACE: ContextVar[StepPlace | None] = ContextVar("place of a step", default=None)


@contextmanager
def at_step(place: StepPlace) -> Iterator[None]:
    """Send the place with the activities that are started here; nothing may be awaited in between."""
    token = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(token)


class SendStep(WorkflowOutboundInterceptor):
    """Puts the step's place into the header of its activity."""

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002 - the SDK's name
        """Start the activity."""
        if place := _PLACE.get():
            input.headers = {**input.headers, STEP_HEADER: workflow.payload_converter().to_payload(place)}
        return super().start_activity(input)


class ActivityOptions(TypedDict, total=False):
    """The options with which Temporal runs an activity."""

    task_queue: str
    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


class LocalOptions(TypedDict, total=False):
    """The options with which a worker runs a local activity."""

    start_to_close_timeout: timedelta


DEAD_AFTER = timedelta(seconds=2)
"""A worker that is silent for so long is taken for dead, and the step continues elsewhere."""

TASK_TIMEOUT = timedelta(seconds=2)
"""How long a worker may take for one task of a workflow; after a death in the middle of one this long is lost.

No less: the SDK itself fails a task that computes for two seconds.
"""


def _soon_again(longest: timedelta) -> RetryPolicy:
    """Try again soon at first, and then less and less often."""
    return RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=longest)


READ = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=60),
    schedule_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=DEAD_AFTER,
    retry_policy=_soon_again(timedelta(seconds=15)),
)

# A local activity that asks nobody outside.
SHOW = LocalOptions(start_to_close_timeout=timedelta(seconds=10))

# A change is never cut in two: an abort waits for its answer. Its time is longer than its client's, so that when an
# attempt runs out nothing that it sent is still under way.
CHANGE = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=20),
    schedule_to_close_timeout=timedelta(minutes=30),
    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=15)),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# Of a change that nobody waits for and whose failure nobody would hear of: tried until it is made, or refused for good.
RETRY_FOREVER = ActivityOptions(
    start_to_close_timeout=CHANGE["start_to_close_timeout"],
    retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
    cancellation_type=CHANGE["cancellation_type"],
)

TERRAFORM_DEAD_AFTER = timedelta(seconds=20)
"""Longer than of others: it takes the worker's processor for seconds at a time, and Temporal may be away for a moment.

Who is taken for dead is interrupted, and leaves half an apply to a person.
"""

# Terraform asks its providers for every resource; while its state is locked by somebody else it is asked again.
PLAN = ActivityOptions(
    **{
        **READ,
        "start_to_close_timeout": timedelta(minutes=15),
        "heartbeat_timeout": TERRAFORM_DEAD_AFTER,
    }
)

# As long as what Terraform waits for; an abort interrupts it, and waits until it has given its lock back.
APPLY = ActivityOptions(
    start_to_close_timeout=timedelta(hours=3),
    heartbeat_timeout=TERRAFORM_DEAD_AFTER,
    retry_policy=_soon_again(timedelta(seconds=10)),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# Repeated until it sees what is waited for; between two looks nothing is under way, so the wait takes no slot.
LOOK = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=30),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

BEST_EFFORT = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=20),
    schedule_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=DEAD_AFTER,
    retry_policy=_soon_again(timedelta(seconds=15)),
)

WATCH = ActivityOptions(
    start_to_close_timeout=timedelta(days=7),
    heartbeat_timeout=DEAD_AFTER,
    retry_policy=_soon_again(timedelta(seconds=10)),
)

PLANNED_WITHIN = timedelta(minutes=2)
"""A run that only plans has ended after this time."""

PATIENCE = (timedelta(seconds=10), timedelta(seconds=60))
"""How long a wait's worker may be silent once it was taken for dead too often."""

DEATHS_BELIEVED = 4
"""Workers die seldom, and busy ones miss heartbeats: after so many attempts it is the patience that was too short."""

# Next to a checkpoint nothing hurries: the yes is followed by a fresh reading anyhow, and a thousand of these cost little.
IDLE_WATCH = ActivityOptions(
    start_to_close_timeout=timedelta(days=7),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10)),
)


def watches(queue: str, *, remembers: bool) -> list[ActivityOptions]:
    """Return how a wait is run: with little patience, so that a death costs little, and with more when that proves wrong.

    Args:
        queue: the queue of waits.
        remembers: it continues where the attempt before it was; then it stays one activity, which alone knows where.
    """
    quick = ActivityOptions(**{**WATCH, "task_queue": queue})
    if remembers:
        return [quick]
    policy = RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_interval=timedelta(seconds=10),
        maximum_attempts=DEATHS_BELIEVED,
    )
    *some, last = (
        ActivityOptions(**{**quick, "heartbeat_timeout": patience}) for patience in (DEAD_AFTER, *PATIENCE)
    )
    return [*(ActivityOptions(**{**options, "retry_policy": policy}) for options in some), last]


async def execute(
    do: Callable[[Any, Any], Any],
    given: object,
    in_turn: Sequence[ActivityOptions],
    *,
    place: StepPlace,
    summary: str,
) -> Any:
    """Run an activity; when its attempts have run out, continue as the next of ``in_turn`` says."""
    *some, last = in_turn
    activity = cast("Callable[[Any], Awaitable[Any]]", do)

    def start(options: ActivityOptions) -> workflow.ActivityHandle[Any]:
        with at_step(place):
            return workflow.start_activity(activity, given, summary=summary, **options)

    for options in some:
        try:
            return await start(options)
        except ActivityError as error:
            if error.retry_state is not RetryState.MAXIMUM_ATTEMPTS_REACHED:
                raise
    return await start(last)


def search_attributes(procedure: str, request: ProcedureRequest) -> TypedSearchAttributes:
    """Return what lists find a run by from its first moment on."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(ids.SERVICE, request.service),
            SearchAttributePair(ids.ENVIRONMENT, request.environment),
            SearchAttributePair(ids.PROCEDURE, procedure),
            SearchAttributePair(ids.STATE, State.RUNNING.value),
        ]
    )


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


class Background:
    """Keeps what runs in the background until it is done."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def is_sending(self) -> bool:
        """Whether a signal is on its way: Temporal drops what a run sent that is over before it arrived."""
        return bool(self._sending)

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start something, and keep it until it is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def send(self, signal: Awaitable[None]) -> None:
        """Send a signal; whoever is over need not get it."""
        task = self.run(_sent(signal))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)


async def _sent(signal: Awaitable[None]) -> None:
    try:
        await signal
    except Exception:  # noqa: BLE001 - the other run is over
        workflow.logger.info("a message to a run that is over was not delivered")
