"""What the inbox accepts; what comes of it is shown by the procedures' tests, for it goes into a run's record."""

import pytest
from temporalio.exceptions import ApplicationError

from activities.runtime.converter import Unreadable
from runbook_model.reports import Abort, Approval
from tests.unit.test_gate import a_gate
from workflows.page.child_relay import ChildRelay
from workflows.page.inbox import Inbox, Refused, parse
from workflows.page.record import Record

UPDATES = ["decide", "abort_run", "pause", "resume", "acknowledge", "note"]
GIVEN = {
    "decide": {"by": "bob"},
    "abort_run": {"by": "bob", "reason": "wrong service"},
    "note": {"by": "bob", "impact": "checkout"},
}


@pytest.fixture
def inbox():
    record = Record("rollback")
    return Inbox(record, ChildRelay(record))


def refusal(inbox, update, received) -> ApplicationError:
    with pytest.raises(ApplicationError) as raised:
        inbox.check(update, received)
    assert raised.value.non_retryable
    return raised.value


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize(
    "received", [None, "yes", 5, [], [{"by": "bob"}], {}, {"by": ""}, {"by": 5}, Unreadable("{")]
)
def test_no_update_takes_what_does_not_fit(inbox, update, received):
    inbox.gate = a_gate()
    error = refusal(inbox, update, received)
    assert error.type == "InvalidMessage"
    assert error.message


@pytest.mark.parametrize(
    ("received", "why"),
    [
        (None, "came without a payload: give by, reason"),
        (Unreadable("{"), "the payload cannot be decoded: send JSON"),
        ({"by": "bob"}, "reason: Field required"),
        ({"by": "bob", "reason": ""}, "reason: String should have at least 1 character"),
    ],
)
def test_what_does_not_fit_is_reported_by_field(received, why):
    with pytest.raises(Refused) as raised:
        parse(Abort, received)
    assert (str(raised.value), raised.value.kind) == (why, "InvalidMessage")


def test_what_a_later_client_adds_is_passed_over():
    assert parse(Approval, {"by": "bob", "mood": "calm"}) == Approval(by="bob")


@pytest.mark.parametrize("update", UPDATES)
def test_what_fits_is_accepted(inbox, update):
    inbox.gate = a_gate()
    inbox.check(update, GIVEN.get(update, {"by": "bob"}))


def test_an_approval_is_refused_while_nothing_asks_for_one(inbox):
    error = refusal(inbox, "decide", {"by": "bob"})
    assert (error.type, error.message) == (
        "Rejected",
        "nothing waits for an approval: this approval is not used",
    )


def test_an_approval_is_refused_by_the_gates_own_rules(inbox):
    inbox.gate = a_gate()
    assert "alice asked for this" in refusal(inbox, "decide", {"by": "alice"}).message


def test_an_approval_given_before_is_not_refused_as_late(inbox):
    inbox.gate = a_gate()
    inbox.gate.count(Approval(by="bob"))
    inbox.check("decide", {"by": "bob"})
    assert "decided already" in refusal(inbox, "decide", {"by": "carol"}).message


def test_an_answer_to_a_gate_that_closed_is_not_refused_and_another_is(inbox):
    given = {"by": "bob", "plan_hash": "abc"}
    inbox.answers.remember(Approval(**given))
    inbox.check("decide", given)
    assert "not used" in refusal(inbox, "decide", {"by": "carol", "plan_hash": "abc"}).message
    inbox.gate = a_gate(plan_hash="abd")
    inbox.check("decide", given)
    inbox.answers.forget("abc")
    assert "look at it again" in refusal(inbox, "decide", given).message


def test_an_answer_that_names_no_plan_is_meant_for_the_gate_that_is_open(inbox):
    inbox.answers.remember(Approval(by="alice"))
    inbox.check("decide", {"by": "alice"})
    inbox.gate = a_gate()
    assert "alice asked for this" in refusal(inbox, "decide", {"by": "alice"}).message


@pytest.mark.parametrize("update", ["decide", "abort_run", "pause", "resume", "acknowledge"])
def test_nothing_changes_a_run_that_is_over(inbox, update):
    inbox.closed = True
    error = refusal(inbox, update, GIVEN.get(update, {"by": "bob"}))
    assert (error.type, error.message) == ("Rejected", "the run is over")


def test_undoing_onto_a_bad_release_must_be_confirmed(inbox):
    inbox.undo_lands_on_bad = lambda: "shop:2 (1.2.0)"
    undo = {"by": "bob", "reason": "stop", "keep": False}
    assert (
        "shop:2 (1.2.0), which is marked bad: confirm with --yes" in refusal(inbox, "abort_run", undo).message
    )
    inbox.check("abort_run", undo | {"confirmed": True})
    inbox.check("abort_run", undo | {"keep": True})


def test_a_note_must_say_something(inbox):
    assert "the note says nothing" in refusal(inbox, "note", {"by": "bob"}).message
