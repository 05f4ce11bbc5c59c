"""What an incident does next, and when it is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runbook_model.brakes import Block
from runbook_model.catalog.incident_policy import IncidentPolicy
from runbook_model.catalog.policies import Incidents
from runbook_model.incident.account import Closed
from runbook_model.reports import Outcome
from tests.incidents import POLICY, at, fires, gate, incident, ran, resolves
from workflows.decisions.incidents import Begin, LookUp, Reopen, Stop, Wait, ending_of, next_move


def started(*names, **fields):
    move = next_move(incident(*names, **fields), at(0))
    return move.procedure if isinstance(move, Begin) else None


@pytest.mark.parametrize(
    ("alerts", "procedure"),
    [
        (["HighErrorRate"], "high-error-rate"),
        (["HighLatencyP95", "ServiceDown"], "service-down"),
        (["HighCPU", "HighErrorRate", "HighLatencyP95"], "high-error-rate"),
        (["DatabaseConnectionsHigh", "HighErrorRate"], "high-error-rate"),
        (["DatabaseDown", "ServiceDown"], "service-down"),
        (["HighCPU", "NobodyKnowsThis"], "resource-issues"),
        (["NobodyKnowsThis"], None),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else str(value),
)
def test_the_most_severe_alert_chooses_then_the_shortest_response_then_the_matrix(alerts, procedure):
    assert started(*alerts) == procedure
    assert started(*reversed(alerts)) == procedure


def test_the_catalog_is_asked_first_and_again_where_it_could_not_be_read():
    assert next_move(incident("ServiceDown", policy=None), at(0)) == LookUp()
    unreadable = IncidentPolicy(problem="no such file", unreadable=True, matrix=POLICY.matrix)
    account = incident("ServiceDown", policy=unreadable)
    assert next_move(account, at(0.5)) == Wait(at(1))
    assert next_move(account, at(1)) == LookUp()


def test_what_the_catalog_does_not_know_is_left_to_a_person():
    account = incident("ServiceDown", policy=POLICY.model_copy(update={"problem": "no service shop"}))
    assert isinstance(next_move(account, at(0)), Wait)
    resolves(account, "ServiceDown", minutes=1)
    assert ending_of(account, at(600)) is None


def test_a_person_is_obeyed_without_asking_the_brake():
    account = incident(opened_by="alice", wanted="rollback")
    assert next_move(account, at(0)) == Begin("rollback", "alice", automatic=False)


def test_nothing_is_started_while_one_runs():
    account = ran(incident("HighErrorRate"))
    fires(account, "ServiceDown", minutes=1)
    assert next_move(account, at(2)) == Wait()


@pytest.mark.parametrize(
    ("later", "ours", "open_gate", "stops"),
    [
        ("ServiceDown", True, gate(2), True),
        ("ServiceDown", True, None, False),
        ("ServiceDown", False, gate(2), False),
        ("HighLatencyP95", True, gate(2), False),
        ("NobodyKnowsThis", True, gate(2), False),
    ],
)
def test_what_is_more_severe_changes_course_only_at_a_checkpoint_of_its_own(later, ours, open_gate, stops):
    account = ran(incident("HighErrorRate"), ours=ours, gate=open_gate)
    fires(account, later, minutes=1)
    assert isinstance(next_move(account, at(3)), Stop) is stops


@pytest.mark.parametrize(
    "state",
    [
        {"paused_by": "bob"},
        {"stopped_by": "bob"},
        {"closed": Closed(by="bob", root_cause="a leak", at=at(2.5))},
    ],
    ids=str,
)
def test_what_a_person_holds_is_not_stopped_for_something_more_severe(state):
    account = fires(ran(incident("HighErrorRate", **state), gate=gate(2)), "ServiceDown", minutes=1)
    assert next_move(account, at(3)) == Wait()


def test_what_it_changed_already_is_seen_through_before_something_more_severe():
    account = fires(ran(incident("HighErrorRate"), gate=gate(2), changes=1), "ServiceDown", minutes=1)
    assert next_move(account, at(3)) == Wait()


def test_after_it_gave_way_the_more_severe_one_runs_and_else_the_first_again():
    account = ran(incident("HighErrorRate"), outcome="aborted", ended=3, stopping=True)
    assert next_move(account, at(3)) == Begin(
        "high-error-rate", "alert HighErrorRate", automatic=True, alert="HighErrorRate"
    )
    fires(account, "ServiceDown", minutes=1)
    assert next_move(account, at(3)) == Begin(
        "service-down", "alert ServiceDown", automatic=True, alert="ServiceDown"
    )


@pytest.mark.parametrize(
    ("outcome", "later", "procedure"),
    [
        ("recovered", "HighLatencyP95", None),
        ("recovered", "ServiceDown", "service-down"),
        ("not-recovered", None, None),
        ("not-recovered", "HighLatencyP95", None),
        ("not-recovered", "ServiceDown", "service-down"),
        ("inconclusive", "HighErrorRate", None),
        ("aborted", None, None),
        ("aborted", "ServiceDown", None),
    ],
)
def test_after_one_ended_only_what_is_new_and_needs_it_starts_another(outcome, later, procedure):
    account = ran(incident("HighErrorRate"), outcome=outcome, ended=5)
    if later:
        fires(account, later, minutes=6)
    move = next_move(account, at(6))
    assert (move.procedure if isinstance(move, Begin) else None) == procedure


def test_what_got_worse_meanwhile_does_not_wait_when_the_first_has_ended():
    account = fires(ran(incident("HighErrorRate"), outcome="recovered", ended=5), "ServiceDown", minutes=2)
    assert next_move(account, at(5)) == Begin(
        "service-down", "alert ServiceDown", automatic=True, alert="ServiceDown"
    )


def test_alerts_have_time_to_be_resolved_before_it_is_tried_again():
    account = ran(incident("HighErrorRate"), outcome="recovered", ended=5)
    assert next_move(account, at(6)) == Wait(at(15))
    assert isinstance(next_move(account, at(15)), Begin)


def test_an_alert_that_fires_again_after_recovery_does_not_wait():
    account = ran(incident("HighErrorRate"), outcome="recovered", ended=5)
    resolves(account, "HighErrorRate", minutes=5.5)
    fires(account, "HighErrorRate", minutes=6)
    assert isinstance(next_move(account, at(6)), Begin)


@pytest.mark.parametrize(
    ("held", "waits_until"),
    [
        (Block(kind="person", why="alice"), None),
        (Block(kind="storm", why="too many"), None),
        (Block(kind="cooling", why="again", until=at(10)), at(10)),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_what_the_brake_holds_is_not_started(held, waits_until):
    assert next_move(incident("HighErrorRate", held=held), at(1)) == Wait(waits_until)
    if waits_until:
        assert isinstance(next_move(incident("HighErrorRate", held=held), waits_until), Begin)


def test_nothing_is_started_automatically_once_a_person_said_so():
    assert next_move(incident("HighErrorRate", stopped_by="bob"), at(1)) == Wait()
    assert next_move(incident("HighErrorRate", paused_by="bob"), at(1)) == Wait()


class TestEnd:
    def test_it_is_over_when_the_procedure_ended_well_and_the_alerts_stayed_resolved(self):
        account = ran(incident("HighErrorRate"), outcome="recovered", ended=5)
        resolves(account, "HighErrorRate", minutes=6)
        assert next_move(account, at(6.5)) == Wait(at(7))
        assert next_move(account, at(7)).outcome is Outcome.RECOVERED

    def test_not_while_the_procedure_runs(self):
        account = resolves(ran(incident("HighErrorRate")), "HighErrorRate", minutes=1)
        assert next_move(account, at(60)) == Wait()

    @pytest.mark.parametrize("outcome", sorted(set(Outcome) - {"recovered", "not-needed"}))
    def test_every_other_outcome_is_left_open_for_a_person(self, outcome):
        account = ran(incident("HighErrorRate"), outcome=outcome, ended=5)
        resolves(account, "HighErrorRate", minutes=6)
        assert ending_of(account, at(600)) is None

    def test_alerts_that_are_resolved_by_themselves_end_it_without_a_claim(self):
        account = incident("HighErrorRate", held=Block(kind="person", why="alice"))
        resolves(account, "HighErrorRate", minutes=6)
        ending = ending_of(account, at(8))
        assert ending.outcome is Outcome.NOT_NEEDED
        assert "nothing was changed" in ending.summary

    def test_an_incident_that_hears_only_of_the_end_is_nothing(self):
        account = resolves(incident(), "HighErrorRate", minutes=0)
        assert ending_of(account, at(0)).outcome is Outcome.NOT_NEEDED

    def test_one_that_a_person_opened_ends_with_its_procedure_and_else_by_a_person(self):
        opened = incident(opened_by="alice")
        assert ending_of(opened, at(600)) is None
        assert ending_of(ran(opened, outcome="recovered", ended=5), at(5)).outcome is Outcome.RECOVERED

    def test_more_alerts_than_can_be_distinguished_need_a_person(self):
        account = ran(incident("HighErrorRate"), outcome="recovered", ended=5)
        account.alerts.untracked = 1
        resolves(account, "HighErrorRate", minutes=6)
        assert ending_of(account, at(600)) is None

    @pytest.mark.parametrize(
        ("account", "outcome", "says"),
        [
            (lambda: incident("HighErrorRate"), "inconclusive", "HighErrorRate still fires"),
            (
                lambda: resolves(incident("HighErrorRate"), "HighErrorRate", minutes=1),
                "recovered",
                "disk full",
            ),
            (lambda: incident(opened_by="alice"), "inconclusive", "nothing measured it"),
            (
                lambda: ran(incident(opened_by="alice"), outcome="recovered", ended=1),
                "recovered",
                "disk full",
            ),
            (
                lambda: ran(incident(opened_by="alice"), outcome="not-recovered", ended=1),
                "inconclusive",
                "nothing measured it",
            ),
        ],
    )
    def test_a_person_closes_it_and_recovery_is_claimed_only_where_it_was_measured(
        self, account, outcome, says
    ):
        closed = account()
        closed.closed = Closed(by="bob", root_cause="disk full", at=at(20))
        ending = next_move(closed, at(20))
        assert ending.outcome == outcome
        assert says in ending.summary

    def test_what_fires_again_opens_it_again(self):
        account = resolves(incident("HighErrorRate"), "HighErrorRate", minutes=1)
        account.closed = Closed(by="bob", root_cause="disk full", at=at(2))
        fires(account, "HighErrorRate", minutes=3)
        assert isinstance(next_move(account, at(3)), Reopen)


@pytest.mark.parametrize("outcome", [None, "recovered", "not-recovered", "aborted"])
@pytest.mark.parametrize("resolved", [True, False])
@pytest.mark.parametrize(
    "state", [{}, {"stopped_by": "bob"}, {"held": Block(kind="cooling", why="", until=at(9))}]
)
@pytest.mark.parametrize("problem", [None, "no service shop"])
def test_nothing_is_waited_for_that_is_past(outcome, resolved, state, problem):
    policy = POLICY.model_copy(update={"problem": problem})
    account = incident("HighErrorRate", "NobodyKnowsThis", policy=policy, **state)
    if outcome:
        ran(account, outcome=outcome, ended=5)
    if resolved:
        resolves(account, "HighErrorRate", "NobodyKnowsThis", minutes=6)
    for minutes in range(6, 120):
        move = next_move(account, at(minutes))
        assert not isinstance(move, Wait) or move.until is None or move.until > at(minutes)


def test_what_was_changed_before_the_last_one_gave_way_is_not_forgotten_at_the_end():
    account = ran(incident("HighErrorRate"), outcome="recovered", ended=3, changes=1)
    ran(account, "high-latency", outcome="aborted", began=20, ended=25, stopping=True)
    ending = ending_of(resolves(account, "HighErrorRate", minutes=26), at(300))
    assert (ending.outcome, ending.summary) == (Outcome.RECOVERED, "high-error-rate is recovered.")


def test_it_is_over_at_once_where_no_quiet_is_wanted():
    rhythm = Incidents(quiet=timedelta(0))
    account = incident("HighErrorRate", policy=POLICY.model_copy(update={"rhythm": rhythm}))
    resolves(ran(account, outcome="recovered", ended=5), "HighErrorRate", minutes=6)
    assert ending_of(account, at(6)) is not None
