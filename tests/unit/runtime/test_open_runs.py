"""A run is open unless its status says that it ended: the server knows more statuses than the SDK."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import WorkflowExecutionStatus as Status
from temporalio.service import RPCError, RPCStatusCode

from activities.temporal.brakes import BrakeActivities
from activities.temporal.remediations import Known, RemediationActivities
from activities.temporal.runs import is_open
from runbook_model.brakes import AutomaticStart, Block, BrakeAnswer, BrakeBook, BrakeReport, Reservation
from runbook_model.errors import NotYetError
from tests.procedures.stage.outside import STARTED

PAUSED = 8
"""Temporal's status of a workflow that is paused on the server."""
RUN = "the run"


class Server:
    """Temporal's client, as far as it knows one run, and a brake that holds until it hears that the run is over."""

    namespace = "default"

    def __init__(self, status: int) -> None:
        self.status = status
        self.summary: list[tuple[str, object]] = []

    @property
    def workflow_service(self):
        async def describe_workflow_execution(request, **_):
            answer = DescribeWorkflowExecutionResponse()
            info = answer.workflow_execution_info
            info.status = self.status
            info.type.name = "Rollback"
            info.execution.CopyFrom(WorkflowExecution(workflow_id=request.execution.workflow_id, run_id=RUN))
            info.start_time.FromDatetime(STARTED)
            return answer

        return SimpleNamespace(describe_workflow_execution=describe_workflow_execution)

    def get_workflow_handle(self, id_, **_):
        async def query(name, **_):
            if id_.startswith("remediation/"):
                raise RPCError("no worker", RPCStatusCode.DEADLINE_EXCEEDED, b"")
            starts = (AutomaticStart(key="a", service="shop", procedure="rollback", began=STARTED),)
            return BrakeReport(environment="prod", book=BrakeBook(starts=starts))

        async def execute_update(name, wanted, **_):
            return BrakeAnswer(held=Block(kind="storm", why="too much at once"))

        async def signal(name, key):
            self.summary.append((name, key))

        return SimpleNamespace(query=query, execute_update=execute_update, signal=signal)


@pytest.mark.parametrize("status", [Status.RUNNING, PAUSED, 0])
def test_what_is_not_known_to_have_ended_is_open(status):
    assert is_open(status)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.RUNNING}))
def test_what_has_ended_is_not_open(status):
    assert not is_open(status)


async def test_an_incident_finds_a_remediation_that_is_paused_on_the_server():
    looks = RemediationActivities(Server(PAUSED))
    seen = await looks.find_remediation(Known(environment="prod", service="shop"))
    assert (seen.run_id, seen.workflow_type, seen.ended, seen.closed_as) == (RUN, "Rollback", None, None)


async def test_a_remediation_that_is_paused_on_the_server_continues():
    known = Known(environment="prod", service="shop", run_id=RUN, ended=False)
    with pytest.raises(NotYetError, match="remediation/prod/shop continues"):
        await RemediationActivities(Server(PAUSED)).await_remediation(known)


@pytest.mark.parametrize(("status", "text"), [(PAUSED, []), (Status.TERMINATED, [("finished", "a")])])
async def test_a_brake_forgets_a_killed_remediation_and_not_one_that_is_paused_on_the_server(status, text):
    server = Server(status)
    wanted = Reservation(key="b", environment="prod", service="cart", procedure="rollback")
    await BrakeActivities(server).reserve(wanted)
    assert server.summary == text
