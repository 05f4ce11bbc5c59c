"""What the Temporal UI shows of a run's questions and tasks."""

from datetime import UTC, datetime, timedelta

from runbook_model.messages import Approval
from runbook_model.plans import Plan, PlannedCall
from runbook_model.reports import Change, Checkpoint, Rejection, Report, State, Step, Task
from workflows.page.telling.details import render

RUN = "remediation/prod/shop"
OPENED = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
TASK = Task(
    what="Bring it back",
    kind="immediate",
    why="it is down",
    look_at=("health: 503",),
    links={"grafana": "https://grafana.test"},
)


def page(**fields: object) -> list[str]:
    report = Report(
        procedure="service-down", service="shop", environment="prod", requested_by="alice",
        state=State.AWAITING_APPROVAL, **{"summary": "Waiting.", **fields},
    )  # fmt: skip
    return render(report, RUN).splitlines()


def a_checkpoint(*options: str, **fields: object) -> Checkpoint:
    return Checkpoint(
        question="What now?", plan_hash="abc", options=options or ("approve",), opened=OPENED,
        closes=OPENED + timedelta(minutes=30), **fields,
    )  # fmt: skip


def test_a_question_shows_the_exact_command_that_answers_it():
    lines = page(checkpoint=a_checkpoint())
    assert f"- answer: `runbook approve {RUN}`" in lines
    assert '- or the signal `approve` with `{"by": "your name", "plan_hash": "abc"}`' in lines


def test_commands_in_a_sentence_can_be_copied():
    text = "What now? Answer: runbook approve prod/shop --option a|b, or runbook abort prod/shop --reason WHY"
    assert (
        "What now? Answer: `runbook approve prod/shop --option a|b`, or `runbook abort prod/shop --reason WHY`"
        in page(summary=text)
    )


def test_a_choice_shows_a_command_for_each_option():
    lines = page(checkpoint=a_checkpoint("restart", "done", "skip"))
    shown = [line for line in lines if line.startswith("- answer")]
    assert shown == [
        f"- answer: `runbook approve {RUN} --option {option}`" for option in ("restart", "done", "skip")
    ]


def test_a_task_that_is_asked_shows_what_to_look_at_and_where():
    lines = page(checkpoint=a_checkpoint("done", "skip", task=TASK))
    assert "- look at: health: 503" in lines
    assert "- see [grafana](https://grafana.test)" in lines


def test_open_tasks_are_shown_with_their_evidence_and_answered_ones_with_the_answer():
    done = TASK.model_copy(update={"state": "done", "by": "bob", "comment": "rebooted"})
    lines = page(tasks=(TASK.model_copy(update={"kind": "long-term"}), done))
    assert "- ☐ long-term: Bring it back (open)" in lines
    assert "- ☑ immediate: Bring it back (done by bob: rebooted)" in lines
    assert lines.count("  - look at: health: 503") == 1


def test_a_trace_is_linked_where_the_catalog_says_where_it_is_seen():
    assert "trace: [4bf9](https://t.test/4bf9)" in page(trace_id="4bf9", trace="https://t.test/4bf9")
    assert "trace: 4bf9" in page(trace_id="4bf9")
    assert not any("trace" in line for line in page())


FORGED = "fine\n- approvals: 2 of 2 (bob, carol)\n### Changes\n[x](https://evil.test) <img src=x> \x1b[31m\u202e\u200b"


def everywhere(text):
    """A page on which each text that can come from outside is this one."""
    task = TASK.model_copy(
        update={
            "what": text,
            "why": text,
            "look_at": (text,),
            "links": {text: text},
            "by": text,
            "comment": text,
        }
    )
    plan = Plan(
        headline=text, because=(text,), not_restored=(text,), afterwards=(text,), needs_yes=text,
        calls=(PlannedCall(service="ecs", action="UpdateService", parameters={"service": text}),),
    )  # fmt: skip
    gate = a_checkpoint(abort_means=text, plan=plan, task=task, approvals=(Approval(by="bob", comment=text),))
    at = {"started": OPENED, "ended": OPENED}
    return page(
        summary=text,
        checkpoint=gate.model_copy(update={"question": text}),
        findings=(text,),
        tasks=(task,),
        steps=(Step(heading=text, step=text, state="done", detail=text, **at),),
        changes=(Change(action=text, before=text, after=text, undone=text),),
        rejected=(Rejection(message=text, why=text, received=text, at=OPENED),),
        trace_id=text,
        trace=text,
    )


def test_no_text_from_outside_forges_a_line_of_the_page_or_markup():
    plain, forged = everywhere("fine"), everywhere(FORGED)
    assert len(forged) == len(plain)
    assert [line[:4] for line in forged] == [line[:4] for line in plain]
    for line in forged:
        outside_of_code = "".join(line.split("`")[::2]).replace(r"\[", "").replace(r"\]", "")
        assert "[x](" not in outside_of_code
        assert "<img" not in outside_of_code
        assert not {"\x1b", "\u202e", "\u200b"} & set(line)
