"""Whatever comes of one question is a check: a sentence, a reason why it is not asked, or what is wrong and the fix."""

import asyncio
import threading
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from activities.aws.errors import translate
from activities.doctor import looking
from activities.doctor.looking import NotSetError, WrongError, check, look
from activities.doctor.place import ClockReading, judge_clock
from activities.http.client import answered
from runbook_model.checks import SET_THE_CLOCK, Row
from runbook_model.errors import AccessDeniedError, InputError, ThrottledError, UnreachableError
from tests.observing import a_target, at


async def raising(error):
    raise error


async def asked(ask, **more):
    return await check(Row("thing", "service", fix="the usual fix", **more), ask)


class TestOneCheck:
    async def test_is_ok_with_the_sentence_that_was_answered(self):
        async def ask():
            return "it is there"

        text = await asked(ask)
        assert (text.name, text.ok, text.detail, text.fix) == ("thing", True, "it is there", None)

    async def test_is_neither_when_nothing_is_configured(self):
        text = await asked(lambda: raising(NotSetError("no url")))
        assert (text.ok, text.detail, text.fix) == (None, "no url", None)

    @pytest.mark.parametrize(
        ("error", "detail", "fix"),
        [
            (WrongError("it is INACTIVE"), "it is INACTIVE", "the usual fix"),
            (WrongError("it is INACTIVE", "start it"), "it is INACTIVE", "start it"),
            (UnreachableError("no answer in time"), "no answer in time", "the usual fix"),
            (
                InputError("there is no X", fix="correct x in the catalog"),
                "there is no X",
                "correct x in the catalog",
            ),
            (ZeroDivisionError("oh"), "the check itself failed: ZeroDivisionError: oh", "the usual fix"),
        ],
    )
    async def test_is_red_with_a_fix_whatever_is_raised(self, error, detail, fix):
        text = await asked(lambda: raising(error))
        assert (text.ok, text.detail, text.fix) == (False, detail, fix)

    async def test_is_red_when_its_time_is_up(self):
        text = await asked(asyncio.Event().wait, seconds=0.01)
        assert (text.ok, text.detail) == (False, "no answer within 0.01 s")

    @pytest.mark.parametrize(
        ("error", "detail"),
        [
            (UnreachableError("no answer in time"), "unknown: no answer in time; let the worker reach it"),
            (AccessDeniedError("AccessDenied", fix="allow it"), "unknown: AccessDenied; allow it"),
        ],
    )
    async def test_of_what_another_is_asked_about_is_unknown_when_it_does_not_say(self, error, detail):
        text = await asked(lambda: raising(error), unknown="let the worker reach it")
        assert (text.ok, text.detail, text.fix) == (None, detail, None)

    async def test_of_what_another_is_asked_about_is_red_when_he_says_that_it_is_wrong(self):
        text = await asked(lambda: raising(WrongError("denied")), unknown="let the worker reach it")
        assert (text.ok, text.detail, text.fix) == (False, "denied", "the usual fix")

    async def test_is_asked_again_when_it_was_throttled(self, monkeypatch):
        monkeypatch.setattr(looking, "THROTTLED_PAUSES", (0, 0))
        answers = [ThrottledError("slow down"), ThrottledError("slow down"), None]

        async def ask():
            if error := answers.pop(0):
                raise error
            return "it is there"

        assert (await asked(ask)).ok is True
        assert answers == []


async def test_one_that_takes_its_time_holds_up_no_other():
    started = asyncio.Event()

    async def first(_):
        await started.wait()
        return "first"

    async def second(_):
        started.set()
        return "second"

    target = a_target(service="shop")
    checks = await look({"a": first, "b": second}, None, target)
    assert [(item.environment, item.service, item.detail) for item in checks] == [
        ("prod", "shop", "first"),
        ("prod", "shop", "second"),
    ]


async def test_blocking_questions_run_next_to_the_loop():
    started = threading.Event()

    def blocking(given):
        started.wait()
        return given

    async def other(_):
        started.set()
        return "other"

    checks = await look({"a": blocking, "b": other}, "given", a_target())
    assert [item.detail for item in checks] == ["given", "other"]


def denied(permission):
    said = f"User: x is not authorized to perform: {permission} on resource: *"
    return ClientError({"Error": {"Code": "AccessDeniedException", "Message": said}}, "ListTasks")


class TestFixes:
    """The product's errors carry the fix next to their message; here are those that checks meet."""

    @pytest.mark.parametrize(
        ("error", "fix"),
        [
            (translate(denied("ecs:ListTasks"), "list tasks"), "allow ecs:ListTasks for the worker's role"),
            (
                translate(NoCredentialsError(), "ask"),
                "give the worker AWS credentials and it continues",
            ),
            (answered(403, "could not ask Prometheus: HTTP 403"), "allow the worker to read it"),
        ],
    )
    def test_are_a_field_of_their_own(self, error, fix):
        assert error.fix == fix
        assert fix not in error.message
        assert str(error) == f"{error.message}; {fix}"

    def test_are_none_where_the_error_knows_none_whatever_its_words(self):
        assert answered(500, "could not ask: HTTP 500; allow it").fix is None


def clock_reading(said, before=0.0, after=1.0):
    return ClockReading(whose="AWS's", said=at(said), before=at(before), after=at(after))


class TestClock:
    @pytest.mark.parametrize("said", [0, 0.5, 1, -5, 6])
    def test_may_be_off_by_a_few_seconds(self, said):
        assert judge_clock(clock_reading(said)) == "within 5 s of AWS's"

    @pytest.mark.parametrize(("said", "words"), [(-60, "60 s ahead of AWS's"), (61, "60 s behind AWS's")])
    def test_that_is_off_by_more_is_wrong(self, said, words):
        with pytest.raises(WrongError, match=words) as wrong:
            judge_clock(clock_reading(0.5), clock_reading(said))
        assert wrong.value.fix == SET_THE_CLOCK

    def test_a_slow_answer_is_no_fault_of_the_clock(self):
        assert clock_reading(2, before=0, after=30).off == timedelta(0)
