"""What Temporal gets to know of errors that activities raise."""

import dataclasses
from datetime import timedelta

import httpx
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.runtime.interceptors import TranslateErrors
from runbook_model.errors import AccessDeniedError, BugError, UnreachableError


class Raising(ActivityInboundInterceptor):
    """An activity that only fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def execute_activity(self, input):  # noqa: A002, ARG002 - the SDK's signature
        raise self.error


async def text(error: Exception, attempt: int = 1) -> Exception:
    """What Temporal gets to hear."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=attempt, activity_type="read_service")
    wrapped = TranslateErrors().intercept_activity(Raising(error))
    nothing = ExecuteActivityInput(fn=print, args=(), executor=None, headers={})
    with pytest.raises(Exception) as raised:
        await environment.run(wrapped.execute_activity, nothing)
    return raised.value


@pytest.mark.parametrize(
    "error",
    [
        TypeError("x"),
        KeyError("tasks"),
        AttributeError("x"),
        ValueError("x"),
        RecursionError(),
        ZeroDivisionError(),
    ],
)
async def test_a_bug_is_tried_a_few_times_and_then_reported(error):
    first, last = await text(error), await text(error, BugError.ATTEMPTS)
    assert isinstance(first, ApplicationError)
    assert isinstance(last, ApplicationError)
    assert (first.type, first.non_retryable, last.non_retryable) == ("BugError", False, True)
    assert f"read_service failed in its own code ({type(error).__name__}" in last.message
    assert last.__cause__ is error


async def test_the_attempts_at_a_bug_are_over_within_half_a_minute():
    waits = [(await text(KeyError("x"), attempt)).next_retry_delay for attempt in range(1, BugError.ATTEMPTS)]
    assert sum(waits, timedelta(0)) == timedelta(seconds=15)


async def test_a_secret_in_a_bugs_words_is_hidden():
    assert "hunter2" not in str(await text(ValueError("bad DSN postgresql://shop:hunter2@db/shop")))


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(104, "reset"),
        TimeoutError("slow"),
        httpx.ReadError("cut"),
        RuntimeError("no thread"),
    ],
)
async def test_what_may_come_from_outside_is_left_to_the_retry_policy(error):
    assert await text(error, attempt=99) is error


async def test_our_own_errors_say_for_themselves_whether_they_are_tried_again():
    away, denied = await text(UnreachableError("away"), attempt=99), await text(AccessDeniedError("ecs:X"))
    assert (away.type, away.non_retryable) == ("UnreachableError", False)
    assert (denied.type, denied.non_retryable) == ("AccessDeniedError", True)
