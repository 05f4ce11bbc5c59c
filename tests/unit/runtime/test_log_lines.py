"""What processes log: a line that says what happened, where, and to whom it belongs."""

import json
import logging
import re

import pytest
from temporalio.testing import ActivityEnvironment

from activities.telemetry.log_lines import JsonLines, TerminalLines, log_to_stderr
from runbook_model.errors import AccessDeniedError, BugError


def logged(formatter, *, message="it is so", extra=None, error=None):
    record = logging.getLogger("runbook.test").makeRecord(
        "runbook.test",
        logging.WARNING,
        __file__,
        1,
        message,
        (),
        (type(error), error, None) if error else None,
        extra=extra,
    )
    return formatter.format(record)


def in_an_activity(formatter, **kwargs):
    return ActivityEnvironment().run(lambda: logged(formatter, **kwargs))


def test_a_line_is_one_json_object_with_its_fields():
    line = logged(JsonLines(), message="two\nlines", extra={"alerts": 3})
    assert "\n" not in line
    wording = json.loads(line)
    assert wording["time"].endswith("+00:00")
    assert wording | {"time": ""} == {
        "time": "",
        "level": "warning",
        "logger": "runbook.test",
        "message": "two\nlines",
        "alerts": 3,
    }


def test_a_line_of_a_step_names_run_and_step():
    wording = json.loads(in_an_activity(JsonLines()))
    info = ActivityEnvironment().info
    assert (wording["workflow_id"], wording["run_id"]) == (info.workflow_id, info.workflow_run_id)
    assert (wording["step"], wording["activity"], wording["attempt"]) == (
        info.activity_id,
        info.activity_type,
        str(info.attempt),
    )


def test_what_the_sdk_adds_is_not_said_twice():
    wording = json.loads(in_an_activity(JsonLines(), extra={"temporal_activity": {"attempt": 1}}))
    assert "temporal_activity" not in wording


def test_an_error_is_reported_in_the_same_line():
    line = logged(JsonLines(), error=ValueError("no"))
    assert "\n" not in line
    assert "ValueError: no" in json.loads(line)["error"]


def test_an_error_that_says_what_to_do_has_no_traceback_and_a_bug_has_one():
    denied = AccessDeniedError("could not list", fix="allow ecs:ListTasks")
    sent = denied.to_application_error()
    sent.__cause__ = denied
    for error in (denied, sent):
        assert (
            json.loads(logged(JsonLines(), error=error))["error"]
            == "AccessDeniedError: could not list; allow ecs:ListTasks"
        )
        assert logged(TerminalLines(), error=error).endswith(
            "\n  AccessDeniedError: could not list; allow ecs:ListTasks"
        )
    bug = BugError("read_history", "KeyError: 1", 1)
    assert "BugError" in json.loads(logged(JsonLines(), error=bug))["error"]
    assert "ValueError: no" in json.loads(logged(JsonLines(), error=ValueError("no")))["error"]


def test_on_a_terminal_a_line_is_for_people():
    assert re.fullmatch(r"\d\d:\d\d:\d\d \S+ WARNING it is so", logged(TerminalLines()))
    info = ActivityEnvironment().info
    assert in_an_activity(TerminalLines()).endswith(f"it is so  [{info.workflow_id} · {info.activity_type}]")


@pytest.mark.parametrize(("wish", "formatter"), [("json", JsonLines), ("text", TerminalLines)])
def test_a_wish_has_the_last_word(wish, formatter, monkeypatch):
    monkeypatch.setenv("RUNBOOK_LOG", wish)
    kept = logging.root.handlers[:]
    logging.root.handlers.clear()
    try:
        log_to_stderr("runbook.somebody")
        assert isinstance(logging.root.handlers[0].formatter, formatter)
        assert logging.getLogger("runbook.somebody").level == logging.INFO
    finally:
        logging.root.handlers[:] = kept
