"""What a person sees of tasks on a terminal."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from runbook_model.reports import Checkpoint, Problem, Report, State, Task
from starter.client.run_view import RunView
from starter.printing import has_room
from starter.view.page import checkpoint, page_lines

OPENED = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
TASK = Task(
    what="Bring it back", kind="immediate", look_at=("health: 503",), links={"grafana": "https://g.test"}
)
LATER = Task(what="Make it faster", kind="long-term", look_at=("/slow: p95 2.50s",))
GATE = Checkpoint(
    question="Bring it back", plan_hash="abc", task=TASK, options=("done", "skip"), opened=OPENED,
    closes=OPENED + timedelta(minutes=30),
)  # fmt: skip


def shown(**fields: object) -> list[str]:
    report = Report(
        procedure="service-down", service="shop", environment="prod", requested_by="alice",
        **{"state": State.AWAITING_APPROVAL, "summary": "Waiting."} | fields,
    )  # fmt: skip
    run = SimpleNamespace(
        id="remediation/prod/shop", run_id="1", parent=None, is_open=True, started=OPENED, ended=None
    )
    return [text.plain for text in page_lines(RunView(run, report, live=True))]


def test_a_task_that_is_asked_says_what_to_look_at_and_how_to_answer():
    lines = [text.plain for text in checkpoint(GATE, "remediation/prod/shop")]
    assert "    look at health: 503" in lines
    assert "    see grafana: https://g.test" in lines
    assert "  done: runbook approve prod/shop --option done --as YOU" in lines
    assert "  skip: runbook approve prod/shop --option skip --as YOU" in lines


def test_tasks_left_for_the_review_are_shown_and_the_one_that_is_asked_only_once():
    lines = shown(checkpoint=GATE, tasks=(LATER, TASK))
    assert "  ☐ long-term: Make it faster  open" in lines
    assert "    look at /slow: p95 2.50s" in lines
    assert sum("Bring it back" in line for line in lines) == 1


def test_what_became_of_a_task_is_shown_without_its_evidence():
    done = TASK.model_copy(update={"state": "done", "by": "bob", "comment": "rebooted"})
    lines = shown(tasks=(done,))
    assert "  ✓ immediate: Bring it back  done by bob: rebooted" in lines
    assert not any("503" in line for line in lines)


def test_an_error_that_the_head_says_is_not_said_again_at_the_end():
    away = Problem(kind="UnreachableError", message="ECS is away", fix="try again")
    assert [text for text in shown(error=away) if "away" in text] == [
        "UnreachableError: ECS is away; try again"
    ]
    report = {"state": State.DONE, "summary": "Failed: ECS is away; try again.", "error": away}
    assert [text for text in shown(**report) if "away" in text] == ["Failed: ECS is away; try again."]


def test_a_trace_is_shown_with_its_link_where_one_is_known_and_only_where_something_was_traced():
    assert "trace 4bf9: https://t.test/4bf9" in shown(trace_id="4bf9", trace="https://t.test/4bf9")
    assert "trace 4bf9" in shown(trace_id="4bf9")
    assert not any("trace" in line for line in shown())


@pytest.mark.parametrize(("columns", "room"), [("40", False), ("59", False), ("80", True)])
def test_a_narrow_terminal_gets_plain_lines(monkeypatch, columns, room):
    monkeypatch.setattr("starter.printing.on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", columns)
    assert has_room() is room
