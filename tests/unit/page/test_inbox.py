"""What the inbox accepts; what comes of it is shown by the procedures' tests, for it goes into a run's record."""

import pytest
from temporalio.exceptions import ApplicationError

from activities.runtime.converter import Unreadable
from runbook_model.errors import InvalidMessage
from runbook_model.messages import Abort, Approval
from tests.unit.page.test_gate import a_gate
from workflows.decisions.endings import fix_of
from workflows.page.deciding.child_relay import ChildRelay
from workflows.page.deciding.inbox import Inbox, parse
from workflows.page.deciding.procedure_orders import ProcedureOrders
from workflows.page.telling.record import Record

MESSAGES = ["approve", "abort", "pause", "resume", "acknowledge", "note"]
GIVEN = {
    "approve": {"by": "bob", "plan_hash": "abc"},
    "abort": {"by": "bob", "reason": "wrong service"},
    "note": {"by": "bob", "impact": "checkout"},
}


@pytest.fixture
def inbox():
    return Inbox(Record("rollback"))


@pytest.fixture
def orders(inbox):
    record = Record("rollback")
    return ProcedureOrders(inbox, record, ChildRelay(record))


def refusal(inbox, name, received) -> ApplicationError:
    with pytest.raises(ApplicationError) as raised:
        inbox.check(name, received)
    assert raised.value.non_retryable
    return raised.value


def refused(inbox, name, received) -> tuple[str, str | None]:
    """Return what is wrong with it, and the fix."""
    error = refusal(inbox, name, received)
    return error.message, fix_of(error)


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize(
    "received", [None, "yes", 5, [], [{"by": "bob"}], {}, {"by": ""}, {"by": 5}, Unreadable("{")]
)
def test_no_update_takes_what_does_not_fit(inbox, orders, name, received):
    orders.gate = a_gate()
    error = refusal(inbox, name, received)
    assert error.type == "InvalidMessage"
    assert error.message


@pytest.mark.parametrize(
    ("received", "why"),
    [
        (None, "came without a payload; give by, reason"),
        (Unreadable("{"), "the payload cannot be decoded; send JSON"),
        ({"by": "bob"}, "reason: Field required"),
        ({"by": "bob", "reason": ""}, "reason: String should have at least 1 character"),
    ],
)
def test_what_does_not_fit_is_reported_by_field(received, why):
    with pytest.raises(InvalidMessage) as raised:
        parse(Abort, received)
    assert str(raised.value) == why


def test_what_a_later_client_adds_is_passed_over():
    assert parse(Approval, {"by": "bob", "mood": "calm"}) == Approval(by="bob")


@pytest.mark.parametrize("name", MESSAGES)
def test_what_fits_is_accepted(inbox, orders, name):
    orders.gate = a_gate()
    inbox.check(name, GIVEN.get(name, {"by": "bob"}))


def test_an_approval_is_refused_while_nothing_asks_for_one(inbox, orders):
    error = refusal(inbox, "approve", {"by": "bob"})
    assert (error.type, error.message) == (
        "Rejected",
        "nothing waits for an approval: this approval is not used",
    )


def test_an_approval_is_refused_by_the_gates_own_rules(inbox, orders):
    orders.gate = a_gate()
    assert "alice asked for this" in refusal(inbox, "approve", {"by": "alice", "plan_hash": "abc"}).message


def test_an_approval_given_before_is_not_refused_as_late(inbox, orders):
    orders.gate = a_gate()
    given = {"by": "bob", "plan_hash": "abc"}
    orders.gate.count(Approval(**given))
    inbox.check("approve", given)
    assert "decided already" in refusal(inbox, "approve", given | {"by": "carol"}).message


def test_an_answer_to_a_gate_that_closed_is_not_refused_and_another_is(inbox, orders):
    given = {"by": "bob", "plan_hash": "abc"}
    orders.answers.remember(Approval(**given))
    inbox.check("approve", given)
    assert "not used" in refusal(inbox, "approve", {"by": "carol", "plan_hash": "abc"}).message
    orders.gate = a_gate(plan_hash="abd")
    inbox.check("approve", given)
    orders.answers.forget("abc")
    assert refused(inbox, "approve", given)[1] == "look at it again"


def test_an_answer_that_names_no_plan_is_not_used_though_the_same_person_agreed_before(inbox, orders):
    orders.gate = a_gate(needed=2)
    orders.gate.count(Approval(by="bob", plan_hash="abc"))
    assert "names no plan" in refusal(inbox, "approve", {"by": "bob"}).message


@pytest.mark.parametrize("name", ["approve", "abort", "pause", "resume", "acknowledge"])
def test_nothing_changes_a_run_that_is_over(inbox, orders, name):
    orders.closed = True
    error = refusal(inbox, name, GIVEN.get(name, {"by": "bob"}))
    assert (error.type, error.message) == ("Rejected", "the run is over")


def test_undoing_onto_a_bad_release_must_be_confirmed(inbox, orders):
    orders.undo_lands_on_bad = lambda: "shop:2 (1.2.0)"
    undo = {"by": "bob", "reason": "stop", "keep": False}
    assert refused(inbox, "abort", undo) == (
        "undoing would bring back shop:2 (1.2.0), which is marked bad",
        "confirm with --yes, or use --keep",
    )
    inbox.check("abort", undo | {"confirmed": True})
    inbox.check("abort", undo | {"keep": True})


def test_a_note_must_say_something(inbox, orders):
    assert refused(inbox, "note", {"by": "bob"}) == (
        "the note is empty",
        "give impact, root_cause, eta or observation",
    )
