"""Every boundary where text from outside enters or is shown, tried with text that would forge a line or show a secret."""

import json
import logging

import pytest

from activities.chat.wording import Templates
from activities.ecs.reading import read_service_state
from activities.ecs.tasks import read_task
from activities.review.histories import said
from activities.review.markdown import bullets
from activities.telemetry.log_lines import TerminalLines
from activities.terraform.program import Said
from runbook_model.catalog.service_policies import Placement
from runbook_model.discovered import Line
from runbook_model.errors import RejectedError
from runbook_model.incident.announcements import Notice
from runbook_model.incident.messages import Closing
from runbook_model.measured.database import without_literals
from runbook_model.messages import Abort, Approval, Instruction, Note, ProcedureRequest
from runbook_model.text.redaction import excerpt
from runbook_model.text.sentences import quote
from starter.discovery.writing import written_line
from starter.printing import line
from starter.webhook.routing import bounded
from tests.aws_answers import service
from tests.unit.chat.test_wording import text as announced

FINE = "fine"
FORGED = "fine\nForged: 2 of 2\r\x1b[2J\x1b]0;title\x07 \u202e\u2066\u2028\u0085 z\u200be\u2060r\ufeffo password=hunter2\n- more"
OBEYED = set("\n\r\t\x1b\x07\x9b\u202e\u2066\u2028\u2029\x85\u200b\u2060\ufeff")


def stopped(text):
    return read_task(
        {
            "taskArn": "arn:aws:ecs:x:1:task/prod/1",
            "taskDefinitionArn": "arn:aws:ecs:x:1:task-definition/shop:1",
            "lastStatus": "STOPPED",
            "stoppedReason": text,
            "containers": [{"name": "app", "reason": text}],
        }
    ).reason


def terraform(text):
    heard = Said(code=1)
    heard.take(json.dumps({"@message": text, "diagnostic": {}}))
    heard.take(
        json.dumps({"@message": "", "diagnostic": {"severity": "error", "summary": text, "detail": text}})
    )
    return "".join((*heard.lines, heard.summary))


def logged(text):
    record = logging.makeLogRecord({"msg": "said: %s", "args": (text,), "levelname": "INFO"})
    return TerminalLines().format(record)


def reviewed(text):
    return "".join(bullets([said(text)], "nothing"))


def written_comment(text):
    return written_line(Line(key="container", value="app", comment=text), Placement)


REDACTED = {
    "an event of ECS": lambda text: read_service_state(service(events=[{"message": text}])).events[0],
    "why a task stopped": stopped,
    "a line of a log": lambda text: excerpt(text, 500),
    "a service's error in one of ours": lambda text: (
        RejectedError(f"it said {quote(text)}").to_application_error().message
    ),
    "a label of an alert": lambda text: bounded({"summary": text}, 10, 500)["summary"],
    "the name of a label": lambda text: next(iter(bounded({text: "x"}, 10, 500))),
    "what Terraform says": terraform,
    "a statement of PostgreSQL": without_literals,
    "a review": reviewed,
    "a comment of a catalog that was discovered": written_comment,
}
ON_ONE_LINE = {
    "an approval's comment": lambda text: Approval(by="bob", comment=text).comment,
    "who approves": lambda text: Approval(by=text).by,
    "an abort's reason": lambda text: Abort(by="bob", reason=text).reason,
    "a pause's reason": lambda text: Instruction(by="bob", reason=text).reason,
    "a note": lambda text: Note(by="bob", impact=text, root_cause=text, eta=text, observation=text).line,
    "a root cause": lambda text: Closing(by="bob", root_cause=text).root_cause,
    "who asks for a run": lambda text: (
        ProcedureRequest(service="s", environment="e", requested_by=text).requested_by
    ),
    "why somebody asks": lambda text: ProcedureRequest(service="s", environment="e", reason=text).reason,
    "an error that quotes nothing": lambda text: RejectedError(text, fix=text).to_application_error().message,
    "a line of the worker's log": logged,
    "a line on a terminal": lambda text: line(text).plain,
}


@pytest.mark.parametrize("shown", [*REDACTED.values(), *ON_ONE_LINE.values()], ids=[*REDACTED, *ON_ONE_LINE])
def test_it_starts_no_line_and_holds_nothing_that_is_obeyed_or_unseen(shown):
    assert "fine" in shown(FORGED)
    assert not OBEYED & set(shown(FORGED))


@pytest.mark.parametrize("shown", REDACTED.values(), ids=REDACTED)
def test_it_shows_no_secret(shown):
    assert "hunter2" not in shown(FORGED)


@pytest.mark.parametrize("flavour", ["txt", "slack"])
def test_a_message_to_people_has_the_lines_that_it_has(flavour):
    def lines(text):
        fields = {"title": text, "ask": text, "impact": text, "observations": (text,), "root_cause": text}
        return announced("update", flavour, done=(text,), current_action=text, **fields).splitlines()

    assert len(lines(FORGED)) == len(lines(FINE))
    assert "hunter2" not in "".join(lines(FORGED))
    assert not OBEYED - {"\n", "\u2060"} & set("".join(lines(FORGED)))


def test_a_notice_has_the_lines_that_it_has():
    def lines(text):
        notice = Notice(target="prod/shop", text=text, run="r")
        return Templates().notice(notice, "slack", mark="m").text.splitlines()

    assert len(lines(FORGED)) == len(lines(FINE))
