"""Which histories belong together: found from any one of them, over continue-as-new and down to children."""

from types import SimpleNamespace

import pytest
from temporalio import activity
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.service import RPCError, RPCStatusCode

from activities.review import activities as gathering
from activities.review import reading, timeline
from activities.review.activities import ReviewActivities, gather
from activities.temporal.holds import HoldActivities
from runbook_model.incident import messages
from tests.unit.review.writing import Hand

REQUEST = {"service": "shop", "environment": "prod"}


class Temporal:
    """A server that holds a few histories and forgets others."""

    def __init__(self, *hands: Hand) -> None:
        self._hands = {(hand.workflow, hand.run): hand for hand in hands}
        self.namespace = "default"
        self.data_converter = SimpleNamespace(payload_codec=None)
        self.workflow_service = self
        self.read: list[str] = []

    def get_workflow_handle(self, workflow_id, *, run_id):
        return SimpleNamespace(fetch_history_events=lambda **_: self._events(workflow_id, run_id))

    async def _events(self, workflow_id, run_id):
        self.read.append(run_id)
        if (workflow_id, run_id) not in self._hands:
            raise _not_found()
        for event in self._hands[workflow_id, run_id].events:
            yield event

    async def describe_workflow_execution(self, request, **_):
        runs = [hand for hand in self._hands.values() if hand.workflow == request.execution.workflow_id]
        if not runs:
            raise _not_found()
        newest = DescribeWorkflowExecutionResponse(workflow_execution_info=WorkflowExecutionInfo())
        newest.workflow_execution_info.execution.run_id = max(
            runs, key=lambda hand: hand.events[0].event_time.seconds
        ).run
        return newest


def _not_found() -> RPCError:
    return RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b"")


def child_of(hand: Hand, child: Hand) -> None:
    started = hand.add("CHILD_WORKFLOW_EXECUTION_STARTED").child_workflow_execution_started_event_attributes
    started.workflow_execution.workflow_id, started.workflow_execution.run_id = child.workflow, child.run


def story() -> list[Hand]:
    """An incident in two runs, its procedure with a child, and one that it joined."""
    first = Hand("incident/prod/shop", "Incident", REQUEST, run="i1")
    procedure = Hand(
        "remediation/prod/shop", "HighErrorRate", REQUEST, run="p1", at=first.later(minutes=1).now
    )
    rollback = Hand(
        "remediation/prod/shop/rollback", "Rollback", REQUEST, run="r1", at=first.later(minutes=1).now
    )
    joined = Hand("remediation/prod/shop", "Rollback", REQUEST, run="p0", at=first.now)
    child_of(first, procedure)
    child_of(procedure, rollback)
    second = Hand(
        "incident/prod/shop", "Incident", REQUEST, run="i2", before="i1", at=first.later(minutes=1).now
    )
    first.go_on("i2")
    sent = second.add("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED")
    signal = sent.signal_external_workflow_execution_initiated_event_attributes
    signal.signal_name = "joined"
    signal.workflow_execution.workflow_id, signal.workflow_execution.run_id = joined.workflow, joined.run
    return [first, procedure, rollback, joined, second]


@pytest.mark.parametrize("run", [None, "i1", "i2"])
async def test_everything_that_belongs_to_an_incident_is_found_whichever_of_its_runs_is_named(run):
    chronicle = await gather(Temporal(*story()), "incident/prod/shop", run)
    assert [item.run for item in chronicle.runs] == ["i1", "i2", "p1", "p0", "r1"]
    assert chronicle.lost == ()


async def test_a_procedure_that_reported_belongs_to_it_whoever_started_it():
    own = Hand("incident/prod/shop", "Incident", REQUEST, run="i1")
    procedure = Hand("remediation/prod/shop", "Rollback", REQUEST, run="p1")
    own.signal("procedure_progress", {"id": procedure.workflow, "run_id": "p1", "report": {}})
    chronicle = await gather(Temporal(own, procedure), "incident/prod/shop")
    assert [run.run for run in chronicle.runs] == ["i1", "p1"]


async def test_a_hold_that_a_procedure_left_behind_belongs_to_it_also_where_it_ended_after_the_incident():
    procedure = Hand("remediation/prod/shop", "HighErrorRate", REQUEST, run="p1")
    procedure.act(gathering.START_HOLD, "Start a hold", given=REQUEST, result="h1")
    hold = Hand("hold/prod/shop", "Hold", REQUEST, run="h1")
    later = Hand("hold/prod/shop", "Hold", REQUEST, run="h2", at=procedure.later(minutes=90).now)
    chronicle = await gather(Temporal(procedure, hold, later), "remediation/prod/shop")
    assert [run.run for run in chronicle.runs] == ["p1", "h1"]


def test_messages_and_activities_have_the_names_that_workflows_give_them():
    assert gathering.JOINED == messages.JOINED
    assert {messages.PROCEDURE_PROGRESS, messages.PROCEDURE_ENDED} == gathering.PROGRESS_SIGNALS
    assert messages.ALERTS == timeline.ALERTS
    definition = activity._Definition.must_from_callable(ReviewActivities.write_review)
    assert definition.name == reading.WRITE_REVIEW
    assert activity._Definition.must_from_callable(HoldActivities.start_hold).name == gathering.START_HOLD


async def test_each_history_is_read_once():
    temporal = Temporal(*story())
    await gather(temporal, "incident/prod/shop")
    assert sorted(temporal.read) == ["i1", "i2", "p0", "p1", "r1"]


async def test_what_temporal_has_forgotten_is_reported():
    kept = [hand for hand in story() if hand.run != "r1"]
    chronicle = await gather(Temporal(*kept), "incident/prod/shop")
    assert chronicle.lost == ("remediation/prod/shop/rollback (run r1)",)


async def test_an_incident_that_nobody_knows_is_an_error():
    with pytest.raises(RPCError, match="not found"):
        await gather(Temporal(), "incident/prod/shop")
