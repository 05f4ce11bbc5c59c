"""A worker that lacks a key fails tasks until one with the key takes them: nothing is taken for nothing, nothing ends wrongly."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import ValidationError
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RawValue, RetryPolicy
from temporalio.worker import Worker

from activities.runtime.converter import Unreadable, with_codec
from activities.runtime.interceptors import Beat, RequireHeartbeatKey, TranslateErrors
from runbook_model.errors import MissingKeyError
from runbook_model.messages import Approval
from tests.patience import PATIENCE
from tests.sealing import codec, sealing
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner

pytestmark = pytest.mark.xdist_group("keys")
BOB = Approval(by="bob", comment="the pears are ripe")
DYING = Approval(by="bob", option="die")
seen: list[tuple[int, tuple[object, ...]]] = []
"""Attempt and what the one before it had left, of each attempt that ran."""


@activity.defn
async def leave_word(request: Approval) -> Approval:
    """Leave a note and die with the worker; the attempt that finds the word is the one that ends."""
    info = activity.info()
    seen.append((info.attempt, tuple(info.heartbeat_details)))
    if request.option and not info.heartbeat_details:
        activity.heartbeat("sent", None)
        await asyncio.sleep(60)
    return request


@workflow.defn(sandboxed=False)
class Waits:
    """Waits for a signal, then has an activity done."""

    def __init__(self) -> None:
        self.got: list[object] = []

    @workflow.run
    async def run(self, request: Approval) -> list[object]:
        """Return what came."""
        await workflow.wait_condition(lambda: bool(self.got))
        done = await workflow.execute_activity(
            leave_word,
            request,
            start_to_close_timeout=timedelta(seconds=90),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
        )
        return [*self.got, done]

    @workflow.signal
    async def say(self, what: object = None) -> None:
        """Take anything."""
        self.got.append(what.received if isinstance(what, Unreadable) else what)


class Place:
    """A queue of the test's own, and clients and workers with keys."""

    def __init__(self, server: Client) -> None:
        self.server = server
        self.queue = f"keys-{uuid4().hex}"

    def client(self, *key_ids: str) -> Client:
        return self.client_by(codec(*key_ids))

    def client_by(self, codec) -> Client:
        config = self.server.config()
        config["data_converter"] = with_codec(codec)
        return Client(**config)

    def worker(self, *key_ids: str, workflows=(Waits,), activities=(leave_word,)) -> Worker:
        return Worker(
            self.client(*key_ids),
            task_queue=self.queue,
            workflows=workflows,
            workflow_runner=sandbox_runner(),
            activities=activities,
            interceptors=[TrimArguments(), TranslateErrors(), RequireHeartbeatKey(), Beat()],
            workflow_failure_exception_types=[ValidationError],
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
            graceful_shutdown_timeout=timedelta(0),
        )

    async def start(self, *key_ids: str, request=BOB):
        return await self.client(*key_ids).start_workflow(
            Waits.run,
            request,
            id=f"keys/{uuid4().hex}",
            task_queue=self.queue,
            task_timeout=timedelta(seconds=2),
        )


@pytest.fixture
def place(temporal):
    seen.clear()
    return Place(temporal.client)


async def until(true):
    """Ask until the answer is yes."""
    async with asyncio.timeout(PATIENCE):
        while not await true():
            await asyncio.sleep(0.05)


async def failed_tasks(run, by):
    """What workflow tasks failed with."""
    events = (await run.fetch_history()).events
    return [
        await by.data_converter.decode_failure(event.workflow_task_failed_event_attributes.failure)
        for event in events
        if event.HasField("workflow_task_failed_event_attributes")
    ]


@pytest.mark.parametrize("lacking", [["old"], []], ids=["another key", "no key"])
async def test_a_worker_without_the_key_fails_the_task_and_one_with_it_continues(place, lacking):
    run = await place.start("new", "old")
    await run.signal(Waits.say, BOB)
    async with place.worker(*lacking):
        await until(lambda: failed_tasks(run, place.server))
    (error, *_) = await failed_tasks(run, place.server)
    assert error.type == "MissingKeyError"
    assert 'encrypted with key "new", which is not among the keys here' in error.message
    async with place.worker("new", "old"):
        said, done = await run.result()
    assert (said["by"], done["by"]) == ("bob", "bob")


async def test_a_signal_by_a_key_that_is_not_there_yet_waits_for_it(place):
    run = await place.start("old")
    async with place.worker("old"):
        await until(lambda: _tasks(run))
        await place.client("new").get_workflow_handle(run.id).signal(Waits.say, BOB)
        await until(lambda: failed_tasks(run, place.server))
        assert (await run.describe()).status is WorkflowExecutionStatus.RUNNING
    async with place.worker("new", "old"):
        said, _ = await place.client("new", "old").get_workflow_handle(run.id).result()
    assert said["comment"] == "the pears are ripe"


async def test_who_has_the_public_key_alone_starts_and_signals_runs_and_reads_nothing_of_them(place):
    webhook = place.client_by(sealing("old"))
    run = await webhook.start_workflow(
        Waits.run,
        BOB,
        id=f"keys/{uuid4().hex}",
        task_queue=place.queue,
        start_signal="say",
        start_signal_args=[BOB],
    )
    async with place.worker("old"):
        said, done = await place.client("old").get_workflow_handle(run.id).result()
    assert (said["by"], done["by"]) == ("bob", "bob")
    assert b"pears" not in (await run.fetch_history()).to_json().encode()
    with pytest.raises(MissingKeyError, match='encrypted with key "old"'):
        await run.result()


@pytest.mark.parametrize(
    "payload",
    [
        Payload(metadata={"encoding": b"binary/encrypted"}, data=b"x"),
        Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"old"}, data=b"x" * 40),
    ],
)
async def test_a_forged_signal_stops_nothing(place, payload):
    run = await place.start("old")
    async with place.worker("old"):
        await run.signal(Waits.say, RawValue(payload))
        said, done = await run.result()
    assert said.startswith("x")
    assert done["by"] == "bob"


async def test_the_word_of_an_attempt_is_waited_for_until_a_worker_can_read_it(place):
    run = await place.start("old", request=DYING)
    await run.signal(Waits.say, BOB)
    async with place.worker("old", activities=()):
        async with place.worker("new", "old", workflows=()):
            await until(_words_left)
        async with place.worker("old", workflows=()):
            (pending,) = await _pending_after(run, 2)
            assert pending.last_failure.application_failure_info.type == "MissingKeyError"
            assert 'encrypted with key "new"' in pending.last_failure.message
    async with place.worker("new", "old"):
        await place.client("new", "old").get_workflow_handle(run.id).result()
    first, last = seen
    assert first == (1, ())
    assert last[1] == ("sent", None)
    assert last[0] > 2


async def test_an_activity_whose_request_cannot_be_read_is_tried_until_it_can(place):
    run = await place.start("new")
    await run.signal(Waits.say, BOB)
    async with place.worker("new", activities=()), place.worker("old", workflows=()):
        (pending,) = await _pending_after(run, 2)
        assert pending.last_failure.message == "Failed decoding arguments"
        assert pending.last_failure.cause.application_failure_info.type == "MissingKeyError"
        assert 'encrypted with key "new"' in pending.last_failure.cause.message
    async with place.worker("new", "old"):
        _, done = await place.client("new", "old").get_workflow_handle(run.id).result()
    assert done["comment"] == "the pears are ripe"


async def test_what_an_attempt_leaves_is_encrypted_on_the_server(place):
    run = await place.start("old", request=DYING)
    await run.signal(Waits.say, BOB)
    async with place.worker("old"):
        await until(_words_left)
        (pending,) = await _pending_after(run, 1)
        assert b"sent" not in pending.heartbeat_details.SerializeToString()
        assert await with_codec(codec("old")).decode(pending.heartbeat_details.payloads) == ["sent", None]


async def _words_left():
    return seen


async def _tasks(run):
    return len((await run.fetch_history()).events) > 3


async def _pending_after(run, attempts):
    """The activity once so many attempts have started and left a mark."""
    found = []

    async def there():
        described = await run.describe()
        found[:] = [
            item
            for item in described.raw_description.pending_activities
            if item.attempt > attempts or (attempts == 1 and item.HasField("heartbeat_details"))
        ]
        return found

    await until(there)
    return found
