"""Whatever comes, what is kept and sent stays below what Temporal takes, and nobody pushes out what others sent."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook_model.bounds import REPORT_BYTES, cut_text, keep_newest, size_of, within
from runbook_model.incident.account import Account, Outbox, Remediation
from runbook_model.incident.alert_book import MOST, AlertBook
from runbook_model.incident.announcements import Announcement
from runbook_model.incident.fitting import ACCOUNT_BYTES, fit
from runbook_model.incident.messages import Alert, slim
from runbook_model.reports import Change, Decision, Rejection, Report, State, Step, Task
from tests.observing import NOW

PAYLOAD = 2 * 1024 * 1024
"""What Temporal takes."""
LONG = "ü" * 3000


def a_report(**more):
    given = {"procedure": "rollback", "service": "shop", "environment": "prod", "requested_by": "bob"}
    return Report(**given, state=State.RUNNING, summary="It goes on.", **more)


def a_large_report(number):
    return a_report(
        findings=(LONG,) * number,
        steps=(Step(heading="Look", step=LONG, state="done", started=NOW, detail=LONG),) * number,
        tasks=(Task(what=LONG, kind="immediate", look_at=(LONG,) * 20),) * number,
        changes=(Change(action="UpdateService", before=LONG, after=LONG),) * number,
    )


def test_a_report_that_is_small_stays_as_it_is():
    report = a_report(findings=("a",), plan_hash="f00")
    assert within(report, REPORT_BYTES) is report


def test_a_large_one_keeps_its_newest_steps_and_all_that_is_short():
    steps = tuple(
        Step(heading="Look", step=f"{number} {LONG}", state="done", started=NOW) for number in range(1000)
    )
    shown = within(a_report(steps=steps), REPORT_BYTES)
    assert size_of(shown) <= REPORT_BYTES
    assert shown.steps[-1].step.startswith("999 ü")
    assert shown.steps[-1].step.endswith("…")
    assert (shown.service, shown.requested_by, shown.summary) == ("shop", "bob", "It goes on.")


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 300), st.sampled_from([2000, 20_000, REPORT_BYTES]))
def test_no_report_is_larger_than_its_bound(number, most):
    assert size_of(within(a_large_report(number), most)) <= most


@given(st.text(), st.integers(3, 40))
def test_a_text_is_cut_to_bytes_and_the_cut_is_seen(text, most):
    cut = cut_text(text, most)
    assert len(cut.encode()) <= most
    assert cut == text or cut.endswith("…")


def test_of_very_many_the_loudest_sender_loses():
    kept = ()
    for said in [("bob", 0), *(("mallory", number) for number in range(50)), ("carol", 1)]:
        kept = keep_newest((*kept, said), 10, lambda item: item[0])
    assert ("bob", 0) in kept
    assert ("carol", 1) in kept
    assert kept[1:-1] == tuple(("mallory", number) for number in range(42, 50))


def an_alert(number, name="HighErrorRate", size=1000):
    words = {"summary": LONG[:size], "impact": LONG[:size]}
    labels = {f"label{index}": LONG[:50] for index in range(9)}
    return Alert(
        fingerprint=f"{number:0200}",
        name=name,
        status="firing",
        service="shop",
        environment="prod",
        starts_at=NOW,
        labels=labels,
        annotations=words,
        problem=LONG[:size],
    )


@pytest.mark.rare
def test_the_largest_account_fits_into_one_payload_for_the_next_run():
    account = Account(service="shop", environment="prod", first_run="1", opened=NOW, opened_by=LONG[:200])
    account.alerts.take((an_alert(number, "X" * 200) for number in range(MOST)), NOW, NOW)
    for number in range(30):
        report = slim(a_large_report(300), 16 * 1024 if number < 29 else 128 * 1024)
        account.begin(
            Remediation(
                id="r", run_id=str(number), procedure="p", why="w", ours=True, began=NOW, report=report
            )
        )
    for number in range(110):
        account.decided("note", f"person {number}", NOW, LONG)
        account.keep_rejected(Rejection(message=f"{number}", why=LONG[:500], received=LONG[:200], at=NOW))
        account.observe(LONG[:2000])
    account.impact = account.root_cause = LONG[:2000]
    said = Announcement(
        incident="incident/prod/shop",
        number=1,
        kind="update",
        title="t",
        service="shop",
        environment="prod",
        status="mitigating",
        at=NOW,
        started=NOW,
        duration=timedelta(1),
        observations=account.observations,
    )
    account.outbox = {name: Outbox(waiting=[said] * 50) for name in ("chat", "pager", "log")}
    assert size_of(account) > PAYLOAD
    fitting = fit(account)
    assert size_of(fitting) <= ACCOUNT_BYTES < PAYLOAD
    assert len(fitting.alerts.firing) == MOST
    assert fitting.last.run_id == "29"
    assert all(outbox.waiting and outbox.lost == 48 for outbox in fitting.outbox.values())


def test_an_account_that_fits_loses_nothing():
    account = Account(service="shop", environment="prod", first_run="1", opened=NOW, opened_by="bob")
    account.decided("note", "bob", NOW, "it rains")
    before = account.model_dump_json()
    assert fit(account).model_dump_json() == before


def test_alerts_of_one_name_leave_room_for_another():
    book = AlertBook()
    book.take((an_alert(number) for number in range(MOST + 5)), NOW, NOW)
    assert (len(book.firing), book.untracked) == (MOST, 5)
    book.take([an_alert(MOST + 9, "DatabaseDown")], NOW, NOW)
    assert "DatabaseDown" in {alert.name for alert in book.firing}
    assert (len(book.firing), book.untracked) == (MOST, 6)


def test_decisions_of_one_person_leave_those_of_others():
    account = Account(service="shop", environment="prod", first_run="1", opened=NOW, opened_by="bob")
    account.decided("abort", "bob", NOW, "it is wrong")
    for number in range(500):
        account.decided("note", "mallory", NOW, str(number))
    assert account.decisions[0] == Decision(kind="abort", by="bob", at=NOW, detail="it is wrong")
    assert len(account.decisions) == 100
