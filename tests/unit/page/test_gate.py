from datetime import UTC, datetime, timedelta

import pytest

from runbook_model.catalog.policies import Approvals
from runbook_model.messages import Approval
from runbook_model.reports import Checkpoint
from workflows.page.deciding.gate import ANSWERS_KEPT, Answers, Gate

OPENED = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
CHOICES = ("verify-again", "hand-over")


def a_gate(*options: str, needed: int = 1, plan_hash: str = "abc", **policy: object) -> Gate:
    view = Checkpoint(
        question="Put the release back?",
        plan_hash=plan_hash,
        options=options or ("approve",),
        approvals_needed=needed,
        opened=OPENED,
        closes=OPENED + timedelta(minutes=30),
    )
    return Gate(view, Approvals(needed=needed, **policy), "alice")


def yes(by: str, **more: object) -> Approval:
    return Approval(by=by, **{"plan_hash": "abc", **more})


def test_nothing_is_decided_before_anybody_answers():
    assert not a_gate().decided


def test_one_yes_decides_where_one_is_needed():
    gate = a_gate()
    assert gate.refuses(yes("bob", plan_hash="abc")) is None
    assert gate.count(yes("bob")) == "approved, 1 of 1"
    assert gate.decided


def test_a_yes_that_names_no_plan_is_not_used():
    assert (
        a_gate()
        .refuses(yes("bob", plan_hash=None))
        .fix.startswith("look at the plan, and send its plan_hash")
    )


def test_two_yeses_must_be_two_peoples():
    gate = a_gate(needed=2)
    assert gate.count(yes("bob")) == "approved, 1 of 2"
    assert gate.count(yes(" BOB ")) == "approved, 1 of 2"
    assert not gate.decided
    assert gate.count(yes("carol")) == "approved, 2 of 2"
    assert gate.decided


@pytest.mark.parametrize(
    ("approval", "why"),
    [
        (yes("bob", plan_hash="old"), "the plan is not the one that was approved: it is abc now, not old"),
        (yes("bob", option="abort"), 'there is no option "abort"; choose one of approve'),
        (
            yes("bob", option="aprove"),
            'there is no option "aprove" (did you mean approve?); choose one of approve',
        ),
        (yes("Alice "), "asked for this and may not approve it; somebody else must"),
        (yes("mallory"), "mallory may not approve here; bob, carol may"),
    ],
)
def test_why_something_does_not_count_is_reported(approval, why):
    assert why in str(a_gate(people=("bob", "carol")).refuses(approval))


def test_who_asked_may_approve_where_the_policy_lets_them():
    assert a_gate(requester_may=True).refuses(yes("alice")) is None


def test_an_answer_after_the_decision_is_late():
    gate = a_gate()
    gate.count(yes("bob"))
    assert str(gate.refuses(yes("carol"))) == "the checkpoint is decided already"


def test_a_choice_must_be_named_where_there_are_several():
    refused = a_gate(*CHOICES).refuses(yes("bob"))
    assert str(refused) == "several options are open; say which option: verify-again, hand-over"


def test_only_answers_that_agree_count_together():
    gate = a_gate(*CHOICES, needed=2)
    gate.count(yes("bob", option="verify-again"))
    assert gate.count(yes("carol", option="hand-over")) == "chose hand-over, 1 of 2"
    assert not gate.decided
    assert gate.count(yes("bob", option="hand-over")) == "chose hand-over, 2 of 2"
    assert (gate.decided, gate.option) == (True, "hand-over")


def test_the_same_answer_again_is_known_and_another_is_not():
    gate = a_gate(*CHOICES, needed=2)
    gate.count(yes("bob", option="verify-again"))
    assert gate.has(yes("Bob", option="verify-again", plan_hash="abc"))
    assert not gate.has(yes("bob", option="hand-over"))
    assert not gate.has(yes("bob", option="verify-again", plan_hash="old"))
    assert not gate.has(yes("carol", option="verify-again"))


def test_an_answer_that_was_taken_is_known_by_person_plan_and_option():
    answers = Answers()
    answers.remember(yes("bob", plan_hash="abc", option="skip", comment="later"))
    assert answers.has(yes(" BOB", plan_hash="abc", option="skip"))
    assert not answers.has(yes("carol", plan_hash="abc", option="skip"))
    assert not answers.has(yes("bob", plan_hash="abd", option="skip"))
    assert not answers.has(yes("bob", plan_hash="abc", option="done"))


def test_an_answer_to_a_plan_that_is_void_is_not_known_any_more():
    answers = Answers()
    answers.remember(yes("bob", plan_hash="abc"))
    answers.remember(yes("bob", plan_hash="abd"))
    answers.forget("abc")
    assert not answers.has(yes("bob", plan_hash="abc"))
    assert answers.has(yes("bob", plan_hash="abd"))


def test_of_very_many_answers_the_newest_are_known():
    answers = Answers()
    for number in range(ANSWERS_KEPT + 1):
        answers.remember(yes("bob", plan_hash=f"{number}"))
    assert answers.has(yes("bob", plan_hash="1"))
    assert not answers.has(yes("bob", plan_hash="0"))


@pytest.mark.parametrize("name", ["a1ice", "\u0430lice", "\u0430\u04cf\u0456\u0441\u0435", "al\u0456ce"])
def test_who_only_looks_like_somebody_else_does_not_approve_for_the_requester_either(name):
    assert a_gate().refuses(yes(name)).message.startswith(f"the name {name} ")


def test_two_names_that_look_alike_are_not_two_people():
    gate = a_gate(needed=2)
    gate.count(yes("bob"))
    assert gate.refuses(yes("b0b")).message == "the name b0b looks like bob, and is not"
    assert gate.refuses(yes("rob")) is None


def test_where_people_are_named_nobody_else_approves_whatever_they_look_like():
    gate = a_gate(people=("bob", "carol"))
    assert gate.refuses(yes("b\u043eb")).message.endswith("may not approve here")
    assert gate.refuses(yes("Bob")) is None
