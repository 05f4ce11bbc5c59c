import pytest
from temporalio import exceptions
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType

from runbook_model.errors import (
    AccessDeniedError,
    CatalogError,
    DriftedError,
    InputError,
    RunbookError,
    ThrottledError,
    UnknownReplyError,
    UnknownTargetError,
)
from runbook_model.messages import Abort
from runbook_model.reports import Change, Outcome
from workflows.decisions.endings import (
    aborted_ending,
    bug_ending,
    cause_of,
    certainly_not_made,
    failed_ending,
    problem_of,
)

MADE = Change(action="UpdateService", before="shop:2", after="shop:1", certain=False)


def failed(cause: BaseException) -> ActivityError:
    """What a workflow sees when an activity failed for good."""
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="worker",
        activity_type="deploy_release",
        activity_id="1",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )
    error.__cause__ = cause
    return error


def raised(error: RunbookError) -> ActivityError:
    return failed(error.to_application_error())


def timed_out(last: BaseException | None = None) -> ActivityError:
    error = exceptions.TimeoutError(
        "activity ScheduleToClose timeout", type=TimeoutType.SCHEDULE_TO_CLOSE, last_heartbeat_details=[]
    )
    error.__cause__ = last
    return failed(error)


@pytest.mark.parametrize("error", [InputError("no"), CatalogError("a", "b"), UnknownTargetError("who?")])
def test_what_was_asked_wrongly_is_refused_as_input(error):
    ending = failed_ending(raised(error), ())
    assert ending.outcome is Outcome.REFUSED
    assert ending.error is not None
    assert (ending.error.kind, ending.error.line) == ("input", str(error))


@pytest.mark.parametrize("fix", ["allow ecs:UpdateService", None])
def test_the_fix_of_an_error_travels_as_a_field_and_not_in_the_message(fix):
    error = AccessDeniedError("could not deploy", fix=fix)
    through_temporal = raised(error)
    assert through_temporal.cause.message == "could not deploy"
    problem = problem_of(through_temporal)
    assert (problem.kind, problem.message, problem.fix) == ("AccessDeniedError", "could not deploy", fix)
    assert problem.line == str(error)


def test_a_summary_has_what_is_wrong_and_the_fix_and_one_full_stop():
    error = AccessDeniedError("could not deploy: AWS says no", fix="allow ecs:UpdateService")
    assert failed_ending(raised(error), ()).summary == (
        "Failed before anything was changed: could not deploy: AWS says no; allow ecs:UpdateService."
    )
    assert failed_ending(raised(ThrottledError("slow down.")), ()).summary.endswith(": slow down.")


def test_somebody_elses_change_supersedes_the_run_and_is_left_to_a_person():
    ending = failed_ending(raised(DriftedError("ecs-svc/3 brings shop:5")), (MADE,))
    assert (ending.outcome, ending.summary) == (
        Outcome.SUPERSEDED,
        "Left to a person: ecs-svc/3 brings shop:5.",
    )


def test_a_failure_before_any_change_is_just_that():
    ending = failed_ending(raised(AccessDeniedError("allow ecs:UpdateService")), ())
    assert ending.outcome is Outcome.FAILED
    assert ending.summary == "Failed before anything was changed: allow ecs:UpdateService."
    assert ending.error is not None
    assert ending.error.kind == "AccessDeniedError"


@pytest.mark.parametrize(
    "error", [UnknownReplyError("sent, no answer"), AccessDeniedError("no"), InputError("gone")]
)
def test_a_failure_with_a_change_that_may_have_been_made_is_inconclusive_and_reports_it(error):
    ending = failed_ending(raised(error), (MADE,))
    assert ending.outcome is Outcome.INCONCLUSIVE
    assert (
        "Changes: UpdateService shop:2 → shop:1: may have been made. A person must check now."
        in ending.summary
    )


def test_a_step_whose_time_ran_out_reports_its_last_error():
    ending = failed_ending(timed_out(ThrottledError("Rate exceeded").to_application_error()), ())
    assert ending.error is not None
    assert (ending.error.kind, ending.error.message) == ("ThrottledError", "Rate exceeded")


def test_a_step_that_never_answered_is_a_timeout():
    ending = failed_ending(timed_out(), ())
    assert (ending.outcome, ending.error and ending.error.kind) == (Outcome.FAILED, "timeout")


@pytest.mark.parametrize("sure", [True, False])
def test_whether_a_change_was_certainly_not_made_is_the_activitys_own_word(sure):
    error = DriftedError("theirs")
    error.certainly_not_made = sure
    assert certainly_not_made(raised(error)) is sure


@pytest.mark.parametrize("error", [timed_out(), failed(ApplicationError("boom", type="KeyError"))])
def test_without_the_activitys_word_nothing_is_certain(error):
    assert not certainly_not_made(error)


def test_an_error_without_a_cause_from_an_activity_has_none():
    assert cause_of(ValueError("no")) is None


@pytest.mark.parametrize(("changes", "outcome"), [((), Outcome.FAILED), ((MADE,), Outcome.INCONCLUSIVE)])
def test_a_bug_is_called_one_with_what_was_changed(changes, outcome):
    ending = bug_ending(KeyError("release"), changes)
    assert ending.outcome is outcome
    assert ending.error is not None
    assert (ending.error.kind, ending.error.message) == ("bug", "KeyError: 'release'")


def test_an_abort_says_who_why_and_what_became_of_each_change():
    order = Abort(by="bob", reason="wrong service")
    undone = MADE.model_copy(update={"undone": "could not undo: shop:5 was deployed meanwhile"})
    ending = aborted_ending(order, (undone,))
    assert ending.outcome is Outcome.ABORTED
    assert ending.summary == (
        "Aborted by bob (wrong service). Changes: UpdateService shop:2 → shop:1: "
        "could not undo: shop:5 was deployed meanwhile."
    )
    assert aborted_ending(order, ()).summary == "Aborted by bob (wrong service). Nothing was changed."


def test_an_abort_that_undoes_says_that_what_has_no_undo_stays():
    order = Abort(by="bob", reason="wrong service")
    stays = "What has no undo stays as it is."
    assert aborted_ending(order, (MADE,), keeps=False).summary.endswith(f"made. {stays}")
    assert stays not in aborted_ending(order, (MADE,), keeps=True).summary
    assert (
        stays
        not in aborted_ending(order, (MADE.model_copy(update={"undone": "undone"}),), keeps=False).summary
    )
