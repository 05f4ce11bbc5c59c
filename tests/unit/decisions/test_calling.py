"""Whom an incident calls, and when."""

from __future__ import annotations

import pytest

from runbook_model.brakes import Block
from runbook_model.incident.account import Acknowledgement, Call
from tests.incidents import POLICY, at, fires, gate, incident, ran, resolves
from workflows.decisions.calling import ROUNDS, next_call, next_contact, respond_by


def called(account, *minutes, rank=1):
    account.calls = tuple(Call(contact="SRE", at=at(minute), rank=rank) for minute in minutes)
    return account


def taken(account, minutes, rank=1):
    account.acknowledged = Acknowledgement(by="bob", at=at(minutes), rank=rank)
    return account


HELD = Block(kind="storm", why="too many")


@pytest.mark.parametrize(
    ("account", "due"),
    [
        (incident("HighErrorRate"), at(5)),
        (incident("HighLatencyP95"), at(10)),
        (incident("HighCPU", "HighErrorRate"), at(5)),
        (incident("NobodyKnowsThis"), at(5)),
        (incident(opened_by="alice"), at(5)),
        (incident("HighErrorRate", held=HELD), at(5)),
        (fires(incident("HighCPU"), "HighErrorRate", minutes=3), at(8)),
    ],
    ids=["error-rate", "latency", "both", "unknown", "a-persons", "held", "later"],
)
def test_the_response_time_runs_from_the_first_alert(account, due):
    assert next_call(account) == due


def test_immediate_calls_at_once_whatever_is_done_about_it():
    account = ran(incident("ServiceDown"))
    assert next_call(account) == at(0)
    assert next_call(called(account, 0, rank=0)) is None


def test_a_thousand_alerts_as_severe_call_nobody_again():
    account = called(ran(incident("ServiceDown")), 0, rank=0)
    assert next_call(fires(account, "DatabaseDown", minutes=1)) is None


def test_a_call_that_reached_nobody_is_followed_by_the_next_at_once():
    account = called(ran(incident("ServiceDown")), 0, rank=0)
    account.calls = (account.calls[0].model_copy(update={"reached": False}),)
    assert next_call(account) == at(0)
    assert next_call(taken(account, 1, rank=0)) is None


def test_a_procedure_that_works_answers_the_alert():
    assert next_call(ran(incident("HighErrorRate"))) is None


@pytest.mark.parametrize(("opened", "due"), [(2, 5), (12, 12)])
def test_one_that_waits_for_a_person_does_not(opened, due):
    assert next_call(ran(incident("HighErrorRate"), gate=gate(opened))) == at(due)


def test_an_acknowledgement_stops_the_calls():
    assert next_call(taken(called(incident("HighErrorRate"), 5), 6)) is None


def test_what_is_worse_than_what_was_acknowledged_calls_again():
    account = taken(incident("HighErrorRate"), 1)
    assert next_call(fires(account, "HighLatencyP95", minutes=2)) is None
    assert next_call(fires(account, "ServiceDown", minutes=3)) == at(0)


def test_a_checkpoint_that_nobody_answers_calls_also_who_acknowledged():
    account = taken(ran(incident("HighErrorRate"), gate=gate(2)), 1)
    assert next_call(account) == at(12)


def test_a_hand_over_calls_although_a_procedure_ran():
    account = ran(incident("HighErrorRate"), outcome="inconclusive", ended=20)
    assert next_call(account) == at(20)
    assert next_call(resolves(account, "HighErrorRate", minutes=21)) == at(20)


def test_nobody_is_called_while_alerts_have_their_time_to_be_resolved():
    account = ran(incident("HighErrorRate"), outcome="recovered", ended=20)
    assert next_call(account) is None


def test_nobody_is_called_when_nothing_fires():
    assert next_call(resolves(incident("HighErrorRate"), "HighErrorRate", minutes=1)) is None


def test_the_contacts_are_called_one_after_the_other_and_then_again():
    account, order = incident("HighErrorRate"), []
    minutes = []
    while due := next_call(account):
        order.append(next_contact(account).name)
        minutes.append((due - at(0)).total_seconds() / 60)
        account.calls += (Call(contact=order[-1], at=due, rank=1),)
    assert order == ["SRE", "Lead"] * ROUNDS
    assert minutes == [5, 15, 25, 35, 45, 55]


def test_without_contacts_everybody_is_called():
    account = incident("HighErrorRate", policy=POLICY.model_copy(update={"contacts": ()}))
    assert (next_call(account), next_contact(account)) == (at(5), None)


def test_the_most_urgent_alert_says_by_when():
    assert respond_by(fires(incident("HighCPU"), "HighErrorRate", minutes=3)) == at(8)
