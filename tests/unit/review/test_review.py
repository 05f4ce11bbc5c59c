"""What a review says, read from histories that were written by hand."""

from datetime import date, timedelta

import pytest

from activities.review.histories import Chronicle
from activities.review.markdown import page
from activities.review.writing import NothingRecordedError, write
from runbook_model.text.plain_text import markdown
from tests.unit.review.writing import AT, Hand, alert, checkpoint, reading, review_of, sample

ROLLBACK = {"service": "shop", "environment": "prod", "requested_by": "alice", "reason": "errors since noon"}
INCIDENT = {"service": "shop", "environment": "prod", "opened_by": "alerts"}
CHANGE = {"action": "UpdateService", "before": "shop:7", "after": "shop:6", "undone": None}
LOOKED_UP = {"links": {"traces": "https://tempo.test/{trace_id}"}}
DONE = {"outcome": "recovered", "summary": "Put back.", "procedure": "rollback", "verdict": "recovered"}


def rollback(**more) -> Hand:
    return Hand("remediation/prod/shop", "Rollback", ROLLBACK, **more)


def incident(**more) -> Hand:
    return Hand("incident/prod/shop", "Incident", INCIDENT, **{"run": "incident-run", **more})


def minutes(number: float):
    return AT + timedelta(minutes=number)


def batch(*alerts) -> dict:
    return {"alerts": list(alerts), "received": AT.isoformat()}


def wording(review) -> list[str]:
    return [line.text for line in review.timeline]


class TestTrace:
    def test_is_linked_as_the_catalog_said_when_it_was_looked_up(self):
        own = Hand("incident/prod/shop", "Incident", INCIDENT | {"trace_id": "4bf9"})
        own.act("incident_policy", "Look up", result=LOOKED_UP)
        review = review_of(own, rollback())
        assert (review.trace_id, review.trace) == ("4bf9", "https://tempo.test/4bf9")
        assert "| Trace | [4bf9](https://tempo.test/4bf9) |" in page(review)

    def test_is_named_without_a_link_where_the_catalog_has_none(self):
        assert "| Trace | 4bf9 |" in page(review_of(Hand("x", "Rollback", ROLLBACK | {"trace_id": "4bf9"})))

    def test_is_not_mentioned_where_nothing_was_traced(self):
        own = rollback().act("resolve_target", "Look up", result=LOOKED_UP)
        assert review_of(own).trace is None
        assert "Trace" not in page(review_of(own))


class TestAHold:
    def test_that_could_not_take_capacity_back_is_an_action_item_and_has_no_page_to_compare(self):
        own = incident().end(outcome="recovered", summary="Scaled out.")
        hold = Hand("hold/prod/shop", "Hold", {**ROLLBACK, "run": {}}, run="h", at=minutes(1))
        task = {"what": "Take it back by hand", "kind": "immediate", "why": "denied"}
        hold.signal("extend", {"hold": "PT1H"}).end(outcome="inconclusive", procedure="hold", tasks=[task])
        review = review_of(own, hold)
        left = [(item.what, item.why) for item in review.items if item.cite.workflow == "hold/prod/shop"]
        assert left == [("Take it back by hand", "denied")]
        assert not any("the page of hold" in item.what for item in review.items)
        assert not any("extend" in said for said in wording(review))


class TestTimes:
    def test_it_started_with_the_first_bad_reading_and_was_detected_by_the_first_alert(self):
        own = incident(at=minutes(5)).signal("alerts", batch(alert(since=minutes(4))))
        measured = rollback(at=minutes(6)).act("measure", "Measure", result=sample("bad", minutes(1)))
        review = review_of(own, measured)
        assert review.started.at == minutes(1)
        assert review.started.what == "first bad reading, error-rate: error-rate is bad"
        assert (review.started.cite.workflow, review.started.cite.event) == ("remediation/prod/shop", 4)
        assert review.detected.at == minutes(5)
        assert review.detected.what == "alert HighErrorRate came in"

    def test_an_alert_started_before_it_came_in(self):
        review = review_of(incident(at=minutes(5)).signal("alerts", batch(alert(since=minutes(2)))))
        assert review.started.at == minutes(2)
        assert review.started.what == "alert HighErrorRate started to fire"

    def test_errors_that_came_with_a_release_started_with_it(self):
        result = {
            "onset": {"release": "shop:7", "began": minutes(-30).isoformat()},
            "share": {"before": {"value": 0.01}, "first": {"value": 0.3}, "now": {"value": 0.4}},
        }
        given = {"thresholds": {"error_rate": 0.1}}
        review = review_of(rollback().act("read_errors", "Read errors", given, result))
        assert review.started.at == minutes(-30)
        assert review.started.what.startswith(
            "shop:7 was deployed, and the error rate was bad from its first window on"
        )

    @pytest.mark.parametrize(("before", "first"), [(0.2, 0.3), (0.01, 0.05), (None, 0.3)])
    def test_but_not_errors_that_were_there_before_or_came_later(self, before, first):
        result = {
            "onset": {"release": "shop:7", "began": minutes(-30).isoformat()},
            "share": {"before": {"value": before}, "first": {"value": first}},
        }
        review = review_of(rollback().act("read_errors", "x", {"thresholds": {"error_rate": 0.1}}, result))
        assert review.started is None

    def test_it_was_mitigated_where_the_last_unbroken_row_of_good_readings_started(self):
        samples = [
            sample(quality, minutes(number)) for number, quality in enumerate(("good", "bad", "good", "good"))
        ]
        done = rollback().act("observe", "Verify", result={"samples": samples}).later(minutes=9).end(**DONE)
        review = review_of(done)
        assert review.mitigated.at == minutes(2)
        assert review.resolved.at == minutes(9)

    def test_what_was_not_recovered_from_was_neither_mitigated_nor_resolved(self):
        samples = {"samples": [sample("good", AT)]}
        review = review_of(
            rollback().act("observe", "Verify", result=samples).end(**{**DONE, "outcome": "inconclusive"})
        )
        assert (review.mitigated, review.resolved) == (None, None)
        assert review.outcome == "inconclusive"
        assert "### When was it resolved?\n\nIt was not." in page(review)

    def test_a_person_and_a_procedure_take_it_up_each_at_their_time(self):
        own = (
            incident().signal("alerts", batch(alert())).later(minutes=3).update("acknowledge", {"by": "bob"})
        )
        review = review_of(own, rollback(at=minutes(1)))
        assert review.taken_up.at == minutes(1)
        assert (review.acknowledged.at, review.acknowledged.what) == (minutes(3), "acknowledged by bob")

    def test_a_person_may_close_it(self):
        own = incident().later(minutes=4).update("close", {"by": "bob", "root_cause": "a full disk"})
        review = review_of(own.later(minutes=1).end(outcome="not-recovered", summary="Handed over."))
        assert (review.resolved.at, review.resolved.what) == (minutes(4), "closed by bob")

    def test_what_is_open_is_a_draft(self):
        review = review_of(rollback().later(minutes=1).act("measure", "Measure", how="open"))
        assert (review.outcome, review.due, review.ended) == (None, None, None)
        assert "this is a draft" in page(review)

    def test_the_review_is_due_five_days_after_the_end(self):
        assert review_of(rollback().end(**DONE)).due == date(2026, 3, 6)


class TestWhereTheTimeWent:
    def test_a_checkpoint_is_peoples_time_and_the_rest_of_the_run_the_machines(self):
        run = (
            rollback()
            .later(minutes=1)
            .memo(checkpoint=checkpoint())
            .later(minutes=8)
            .update("decide", {"by": "bob"})
        )
        review = review_of(run.memo(checkpoint=None).later(minutes=1).end(**DONE))
        assert review.shares.people == timedelta(minutes=8)
        assert review.shares.machine == timedelta(minutes=2)
        assert review.shares.neither == timedelta(0)
        (wait,) = review.waits
        assert wait.what == "Put the release back? Put shop back to shop:6"
        assert (wait.lasted, wait.answer) == (timedelta(minutes=8), "answered by bob (decide)")
        assert (wait.cite.event, wait.until.event) == (2, 4)

    def test_a_gate_that_its_parents_show_too_counts_once(self):
        gate = checkpoint()
        hands = [
            Hand(f"remediation/prod/shop{part}", kind, ROLLBACK, run=kind)
            .memo(checkpoint=gate)
            .later(minutes=5)
            .memo(checkpoint=None)
            .end(**DONE)
            for part, kind in (("", "HighErrorRate"), ("/rollback", "Rollback"))
        ]
        review = review_of(*hands)
        assert len(review.waits) == 1
        assert review.shares.people == timedelta(minutes=5)

    def test_a_gate_whose_approvals_grow_is_one_wait_and_one_that_opens_again_is_another(self):
        run = rollback().memo(checkpoint=checkpoint()).later(minutes=1)
        run.memo(checkpoint=checkpoint(approvals=[{"by": "bob"}])).later(minutes=1)
        run.memo(checkpoint=checkpoint(opened=minutes(2), plan_hash="def")).later(minutes=1).memo(
            checkpoint=None
        )
        review = review_of(run.end(**DONE))
        assert [(wait.lasted, wait.answer) for wait in review.waits] == [
            (timedelta(minutes=2), "answered by bob"),
            (timedelta(minutes=1), "nobody answered"),
        ]

    def test_a_gate_of_a_run_that_was_terminated_ends_with_it(self):
        run = rollback().memo(checkpoint=checkpoint()).later(minutes=3).terminate("by hand")
        (wait,) = review_of(run).waits
        assert wait.closed == minutes(3)

    def test_a_pause_is_peoples_time(self):
        run = rollback().attribute(RunbookState="paused").later(minutes=3).attribute(RunbookState="running")
        review = review_of(run.later(minutes=1).end(**DONE))
        assert review.shares.people == timedelta(minutes=3)

    def test_an_incident_that_waits_for_its_alerts_is_nobodys_time(self):
        own = (
            incident()
            .signal("alerts", batch(alert()))
            .later(minutes=30)
            .end(outcome="recovered", summary="Over.")
        )
        run = rollback(at=minutes(1)).later(minutes=4).end(**DONE)
        shares = review_of(own, run).shares
        assert (shares.whole, shares.machine, shares.neither) == (
            timedelta(minutes=30),
            timedelta(minutes=4),
            timedelta(minutes=26),
        )


class TestChanges:
    def test_a_change_is_followed_from_its_intent_to_what_became_of_it(self):
        run = rollback().memo(changes=[{**CHANGE, "certain": False}]).later(minutes=1)
        run.memo(changes=[{**CHANGE, "certain": True}]).later(minutes=1).memo(
            changes=[{**CHANGE, "undone": "undone"}]
        )
        (change,) = review_of(run).changes
        assert (change.action, change.before, change.after) == ("UpdateService", "shop:7", "shop:6")
        assert (change.at, change.made, change.state, change.cite.event) == (AT, minutes(1), "undone", 2)

    def test_one_that_was_certainly_not_made_is_no_change(self):
        run = rollback().memo(changes=[{**CHANGE, "certain": False}]).memo(changes=[])
        assert review_of(run).changes == ()

    def test_the_same_change_made_twice_is_two(self):
        first, again = {**CHANGE, "certain": True}, {**CHANGE, "certain": False}
        review = review_of(rollback().memo(changes=[first]).later(minutes=1).memo(changes=[first, again]))
        assert [change.state for change in review.changes] == ["made", "may have been made"]

    def test_a_childs_change_is_not_reported_again_by_its_parent(self):
        parent = Hand("remediation/prod/shop", "HighErrorRate", ROLLBACK, run="parent").later(minutes=2)
        child = Hand("remediation/prod/shop/rollback", "Rollback", ROLLBACK, parent="remediation/prod/shop")
        child.memo(changes=[{**CHANGE, "certain": False}]).memo(changes=[{**CHANGE, "certain": True}])
        review = review_of(parent.memo(changes=[{**CHANGE, "certain": True}]), child)
        assert [change.cite.workflow for change in review.changes] == ["remediation/prod/shop/rollback"]

    @pytest.mark.parametrize(
        ("change", "item"),
        [
            (
                {**CHANGE, "undone": "it is gone", "undo_failed": True},
                "Undo by hand: UpdateService, shop:7 → shop:6",
            ),
            (
                {**CHANGE, "certain": False},
                "Find out whether this was done: UpdateService, shop:7 → shop:6",
            ),
        ],
    )
    def test_one_that_left_something_to_do_is_an_action_item(self, change, item):
        items = review_of(rollback().memo(changes=[change])).items
        assert item in [each.what for each in items if each.kind == "immediate"]


class TestEvidence:
    def test_every_reading_is_reported_with_how_it_was_read(self):
        result = {"samples": [sample("good", minutes(1)), sample("bad", minutes(2))], "since": AT.isoformat()}
        review = review_of(rollback().act("observe", "Measure for 10s", result=result))
        assert [(line.what, line.quality, line.query, line.step) for line in review.readings] == [
            ("error-rate", "good", "q", "Measure for 10s"),
            ("error-rate", "bad", "q", "Measure for 10s"),
        ]

    def test_figures_of_a_diagnosis_are_readings_too(self):
        figure = {
            "quality": "known",
            "why": "",
            "source": "cloudwatch",
            "query": "CPU",
            "at": AT.isoformat(),
            "value": 0.91,
        }
        review = review_of(rollback().act("read_load", "Read the load", result={"cpu": figure}))
        (line,) = review.readings
        assert (line.what, line.quality, line.detail) == ("load cpu", "known", "0.91")

    def test_a_plan_is_a_decision_with_its_reasons_and_so_is_each_answer(self):
        run = rollback().memo(checkpoint=checkpoint()).later(minutes=1)
        run.update("decide", {"by": "bob", "plan_hash": "abc", "comment": "go"}).memo(checkpoint=None)
        plan, answer, judged = review_of(run.end(**DONE)).decisions
        assert plan.what == "planned: Put shop back to shop:6 (plan abc)"
        assert plan.evidence == ("shop:6 soaked for 2h",)
        assert (answer.by, answer.what, answer.evidence) == ("bob", "approve", ("plan abc", "comment: go"))
        assert (judged.by, judged.what, judged.evidence) == (
            "the runbook",
            "judged: recovered",
            ("Put back.",),
        )

    def test_what_people_were_sent_says_where_and_whether_it_arrived(self):
        given = {
            "announcement": {
                "incident": "incident/prod/shop",
                "run": "f465b837-3c13-4f6d-ada3-5df73eccbc9e",
                "number": 2,
                "kind": "update",
            },
            "channel": "ops",
        }
        own = incident().act("announce", "Tell ops", given, {"detail": "Slack, #ops", "thread": "C/1"})
        own.act("announce", "Tell ops", given, how="failed", why="channel ops: HTTP 404")
        sent, lost = review_of(own).messages
        assert (sent.kind, sent.channel, sent.mark, sent.result) == (
            "update",
            "ops",
            "incident/prod/shop@f465b837#2",
            "Slack, #ops",
        )
        assert lost.result == "failed: channel ops: HTTP 404"

    def test_retries_failures_and_trouble_of_workers_are_reported_with_their_reason(self):
        run = (
            rollback()
            .act("measure", "Measure", attempts=3, why="throttled")
            .act("x", "Do", how="failed", why="denied")
        )
        troubles = review_of(run.stumble("worker died")).troubles
        assert [(trouble.what, trouble.attempts, trouble.why) for trouble in troubles] == [
            ("Measure: done", 3, "throttled"),
            ("Do: failed", 1, "denied"),
            ("A worker's turn at the workflow", 1, "worker died"),
        ]


class TestTimeline:
    def test_alerts_are_reported_when_they_change_and_not_when_they_repeat_themselves(self):
        own = incident().signal("alerts", batch(alert())).signal("alerts", batch(alert()))
        review = review_of(own.signal("alerts", batch(alert(status="resolved"))))
        alerts = [line for line in wording(review) if line.startswith("Alert")]
        assert [line.split(",")[0] for line in alerts] == [
            "Alert HighErrorRate (warning) firing",
            "Alert HighErrorRate (warning) resolved",
        ]

    def test_what_a_step_found_is_reported_with_it(self):
        run = rollback().act("read_errors", "Read the errors", step=2)
        done = {**DONE, "steps": [{"detail": "no"}, {"detail": "12 % of requests fail"}]}
        assert "Read the errors: 12 % of requests fail" in wording(review_of(run.end(**done)))

    def test_lines_are_in_order_across_histories(self):
        own = incident().later(minutes=2).signal("note", {"by": "bob", "observation": "checkout fails"})
        times = [line.at for line in review_of(own, rollback(at=minutes(1))).timeline]
        assert times == sorted(times) == [AT, minutes(1), minutes(2)]

    def test_runs_of_one_incident_are_one_story(self):
        first = incident(run="a").signal("alerts", batch(alert())).later(minutes=1).go_on("b")
        second = (
            incident(run="b", before="a", at=minutes(1))
            .later(minutes=1)
            .end(outcome="recovered", summary="Over.")
        )
        review = review_of(first, second)
        assert [line for line in wording(review) if "started" in line or "ended" in line] == [
            "The incident started, for alerts",
            "The incident ended: recovered. Over.",
        ]
        assert review.resolved.at == minutes(2)
        assert "⟨2·2⟩" in page(review)


class TestConclusions:
    def test_monitoring_that_was_late_is_reported(self):
        review = review_of(incident(at=minutes(7)).signal("alerts", batch(alert(since=AT))))
        assert (
            "Trouble was there for 7m before anybody was notified: alert HighErrorRate started to fire."
            in review.missed
        )
        assert any("7m before anybody" in item.what for item in review.items if item.kind == "monitoring")

    def test_an_incident_without_alerts_was_missed_by_all_of_them(self):
        own = Hand("incident/prod/shop", "Incident", {**INCIDENT, "opened_by": "alice"})
        assert "No alert came in; a person noticed." in review_of(own).missed

    def test_what_could_never_be_measured_is_a_blind_spot(self):
        blind = reading("latency", "no-data", detail="no histogram")
        seen = [reading("error-rate", "error", detail="timeout"), reading("error-rate", "good")]
        review = review_of(rollback().act("measure", "Measure", result={"readings": [blind, *seen]}))
        assert review.missed == ("latency could not be measured (prometheus): no histogram",)

    def test_an_alert_that_still_fires_is_reported(self):
        review = review_of(
            incident().signal("alerts", batch(alert())).end(outcome="not-recovered", summary="x")
        )
        assert "Alert HighErrorRate had not been resolved when this was written." in review.missed

    def test_a_persons_word_on_the_cause_counts_more_than_a_procedures(self):
        run = rollback().end(**DONE, findings=["release shop:7 is bad"])
        found = review_of(incident(), run).root_cause
        assert (found.text, found.said_by) == ("release shop:7 is bad", "procedure rollback")
        own = incident().signal("note", {"by": "bob", "root_cause": "a missing index"})
        said = review_of(own, run).root_cause
        assert (said.text, said.said_by) == ("a missing index", "bob")

    def test_tasks_are_action_items_once_in_their_class_and_say_who_did_them(self):
        task = {
            "what": "Reboot it",
            "kind": "immediate",
            "why": "it hangs",
            "state": "done",
            "by": "bob",
            "comment": "ok",
        }
        later = {"what": "Find the leak", "kind": "long-term"}
        own = incident().end(outcome="recovered", summary="x", tasks=[task, later])
        review = review_of(own, rollback().memo(tasks=[task]).end(**DONE, tasks=[task, later]))
        assert [
            (item.kind, item.what, item.state) for item in review.items if item.kind != "documentation"
        ] == [
            ("immediate", "Reboot it", "done by bob: ok"),
            ("immediate", "Confirm the root cause, or name another one", "open"),
            ("long-term", "Find the leak", "open"),
            (
                "monitoring",
                "See to it that this is caught next time: No alert came in; a person noticed.",
                "open",
            ),
        ]
        assert "- [x] Reboot it (done by bob: ok): it hangs" in page(review)

    @pytest.mark.parametrize(
        ("messages", "owner"),
        [
            ((("acknowledge", "bob"), ("close", "carol")), "bob"),
            ((("decide", "dave"), ("close", "carol")), "carol"),
            ((("decide", "dave"),), "dave"),
            ((), "nobody yet: choose one"),
        ],
    )
    def test_the_owner_is_who_knows_most(self, messages, owner):
        own = incident()
        for name, by in messages:
            own.update(name, {"by": by})
        assert review_of(own).owner == owner


class TestThePage:
    def test_it_asks_every_question_of_the_runbook(self):
        text = page(review_of(rollback().end(**DONE)))
        for heading in (
            "## Timeline of events",
            "### When did the incident start?",
            "### When was it detected?",
            "### What actions were taken?",
            "### When was it resolved?",
            "## Root cause analysis",
            "### What was the underlying cause?",
            "### Why did monitoring not catch it earlier?",
            "### What can be improved?",
            "## Action items",
            "### Immediate fixes",
            "### Long-term improvements",
            "### Monitoring enhancements",
            "### Documentation updates",
        ):
            assert f"\n{heading}\n" in text

    def test_text_of_people_is_no_markup_and_holds_no_secret(self):
        hostile = "a | b\n# Heading <img src=x> [click](http://evil) password=hunter2"
        text = page(review_of(rollback().signal("abort", {"by": "bob", "reason": hostile})))
        assert "\n# Heading" not in text
        assert "<img" not in text
        assert "[click]" not in text.replace(r"\[click\]", "")
        assert "hunter2" not in text

    def test_what_could_not_be_read_any_more_is_reported(self):
        assert "Lost: remediation/prod/shop" in page(
            review_of(incident(), lost=("remediation/prod/shop (run x)",))
        )

    @pytest.mark.parametrize("given", [None, "text", 7, [], {"alerts": "x"}, {"alerts": [3]}, {"by": 5}])
    @pytest.mark.parametrize("name", ["alerts", "note", "close", "acknowledge", "approve", "frobnicate"])
    def test_what_nobody_expected_in_a_history_breaks_nothing(self, name, given):
        assert page(
            review_of(incident().signal(name, given).memo(checkpoint=given, changes=given, tasks=given))
        )

    def test_without_a_history_there_is_no_review(self):
        with pytest.raises(NothingRecordedError, match="no history of incident/prod/shop"):
            write(Chronicle("incident/prod/shop", ()))

    @pytest.mark.parametrize(("text", "escaped"), [("a|b", r"a\|b"), ("<b>", "&lt;b>"), ("`x`", r"\`x\`")])
    def test_plain_text(self, text, escaped):
        assert markdown(text) == escaped


ORDER = {
    "workflow_id": "incident/prod/shop",
    "run_id": "incident-run",
    "outcome": "recovered",
    "summary": "Over.",
}


class TestTheReviewThatIsWrittenAtTheEnd:
    def ordered(self, own: Hand) -> Hand:
        return own.later(minutes=1).act("write_review", "Write the review", ORDER, how="open")

    def test_it_has_the_incidents_end_although_the_incident_continues_to_write_it(self):
        review = review_of(self.ordered(incident().signal("alerts", batch(alert()))))
        assert (review.outcome, review.resolved.at) == ("recovered", minutes(1))
        assert review.timeline[-1].text == "The incident ended: recovered. Over."

    def test_it_is_the_same_once_the_incident_has_ended(self):
        at_the_end = review_of(self.ordered(incident()))
        own = self.ordered(incident())
        own.later(seconds=5).attribute(RunbookState="done").end(outcome="recovered", summary="Over.")
        assert review_of(own) == at_the_end

    def test_one_that_was_written_too_early_ends_nothing(self):
        own = self.ordered(incident()).signal("alerts", batch(alert("HighCPU")))
        review = review_of(own)
        assert review.outcome is None
        assert any("HighCPU" in line for line in wording(review))
        assert review_of(self.ordered(own)).outcome == "recovered"
