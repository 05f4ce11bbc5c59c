"""What people are sent of an incident."""

from __future__ import annotations

import pytest

from runbook_model.brakes import Block
from runbook_model.incident.announcements import UNKNOWN
from runbook_model.reports import Ending, Outcome
from tests.incidents import POLICY, alert, at, fires, gate, incident, ran, resolves
from workflows.decisions.announcing import announcement, ask, gist, spoken


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HighErrorRate", "High Error Rate"),
        ("HighLatencyP95", "High Latency P95"),
        ("HighCPU", "High CPU"),
        ("ServiceDown", "Service Down"),
        ("disk_full", "disk full"),
        ("中文", "中文"),
    ],
)
def test_an_alerts_name_is_written_as_people_say_it(name, words):
    assert spoken(name) == words


def test_what_nobody_knows_is_unknown():
    said = announcement(incident("HighErrorRate"), "started", at(1))
    assert (said.impact, said.eta, said.root_cause, said.current_action) == (UNKNOWN,) * 4
    assert (said.title, said.status) == ("High Error Rate: shop in prod", "investigating")
    assert said.next_update == at(31)


def test_impact_comes_from_a_person_or_else_from_an_alert():
    account = incident()
    fires(account, "HighErrorRate", minutes=0, annotations={"impact": "checkout fails", "summary": "40 %"})
    said = announcement(account, "started", at(0))
    assert (said.impact, said.observations) == ("checkout fails", ("HighErrorRate: 40 %",))
    account.impact = "nobody can pay"
    assert announcement(account, "update", at(0)).impact == "nobody can pay"


def test_many_alerts_of_one_name_are_one_line():
    account = incident()
    account.alerts.take([alert("HighCPU", fingerprint=str(n)) for n in range(900)], at(0), at(0))
    account.alerts.place(POLICY.matrix)
    assert announcement(account, "started", at(0)).observations == ("HighCPU (900 times)",)


def test_alerts_that_belong_nowhere_are_reported_with_the_reason():
    account = incident(
        service="unrouted", environment="unknown", policy=POLICY.model_copy(update={"problem": "no"})
    )
    fires(
        account,
        "HighCPU",
        minutes=0,
        problem='no service "shpo" in the catalog',
        annotations={"summary": "90 %"},
    )
    assert "These alerts belong to no target of the catalog" in ask(account)
    said = announcement(account, "started", at(0))
    assert said.observations == ('HighCPU: no service "shpo" in the catalog; 90 %',)


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (incident("NobodyKnowsThis"), "No procedure answers NobodyKnowsThis"),
        (incident("HighErrorRate", held=Block(kind="storm", why="5 services at once")), "5 services at once"),
        (ran(incident("HighErrorRate"), gate=gate(1)), "Put it back? Answer: runbook approve prod/shop"),
        (ran(incident("HighErrorRate"), outcome="inconclusive", ended=1), "runbook close prod/shop"),
        (incident("HighErrorRate", stopped_by="bob"), "bob stopped it"),
        (incident(opened_by="alice"), "runbook close prod/shop"),
    ],
)
def test_what_a_person_must_do_is_said_first(account, words):
    assert words in ask(account)


@pytest.mark.parametrize(
    "account",
    [
        incident("HighErrorRate"),
        ran(incident("HighErrorRate")),
        ran(incident("HighErrorRate"), outcome="recovered", ended=1),
        incident("HighErrorRate", held=Block(kind="cooling", why="again soon", until=at(9))),
    ],
)
def test_nobody_is_asked_where_the_runbook_continues_by_itself(account):
    assert ask(account) is None


def test_only_what_people_want_to_know_is_news():
    account = incident("HighErrorRate")
    before = gist(account)
    fires(account, "HighErrorRate", minutes=1, fingerprint="another pod")
    assert gist(account) == before
    assert gist(ran(account, gate=gate(2))) != before


def test_the_end_says_how_long_what_was_done_and_why():
    account = ran(incident("HighErrorRate"), outcome="recovered", ended=5, changes=1)
    resolves(account, "HighErrorRate", minutes=6)
    account.root_cause = "a bad release"
    account.ending = Ending(outcome=Outcome.RECOVERED, summary="Put back.")
    said = announcement(account, "resolved", at(7))
    assert (said.status, said.duration, said.next_update, said.ask) == ("resolved", at(7) - at(0), None, None)
    assert said.resolution == ("UpdateService: 2 → 1", "Put back.")
    assert said.root_cause == "a bad release"
    assert said.next_steps == ("Post-incident review: runbook review incident/prod/shop",)


def test_the_mark_tells_two_incidents_of_one_target_apart():
    first, other = incident("HighCPU"), incident("HighCPU", first_run="run-2")
    assert announcement(first, "started", at(0)).mark != announcement(other, "started", at(0)).mark
