"""What a run that was cut off had changed is known for every change that a page can make."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest, ListWorkflowExecutionsResponse
from temporalio.client import WorkflowExecutionStatus as Status

from activities.temporal.predecessor import CHANGES, RunHistory, RunName

WORKFLOWS = Path(__file__).parents[3] / "workflows"


LOCK, CHILD = "remediation/prod/shop", "remediation/prod/shop/rollback"
NOW = RunName(workflow_id=LOCK, run_id="now")


@dataclass
class Runs:
    """Temporal's client, as far as it knows runs: newest first, each with its history."""

    namespace = "default"
    kept: list[tuple[str, str, int]] = field(default_factory=list)
    histories: dict[tuple[str, str], list[HistoryEvent]] = field(default_factory=dict)

    def was(self, id_: str, run_id: str, status: int, *events: HistoryEvent) -> None:
        """A run started before all that were there so far."""
        self.kept.append((id_, run_id, status))
        self.histories[id_, run_id] = list(events)

    @property
    def workflow_service(self):
        async def list_workflow_executions(request: ListWorkflowExecutionsRequest, **_):
            answer = ListWorkflowExecutionsResponse()
            for id_, run_id, status in self.kept:
                if request.query == f"WorkflowId = '{id_}'":
                    answer.executions.add(
                        execution=WorkflowExecution(workflow_id=id_, run_id=run_id), status=status
                    )
            return answer

        return SimpleNamespace(list_workflow_executions=list_workflow_executions)

    def get_workflow_handle(self, id_: str, *, run_id: str):
        async def fetch_history():
            return SimpleNamespace(events=self.histories[id_, run_id])

        return SimpleNamespace(fetch_history=fetch_history)

    async def before(self, run: RunName):
        return await RunHistory(self).read_predecessor(run)


def began(activity: str) -> HistoryEvent:
    event = HistoryEvent(event_id=5, event_type="EVENT_TYPE_ACTIVITY_TASK_SCHEDULED")
    event.activity_task_scheduled_event_attributes.activity_type.name = activity
    return event


def ran(child: str, run_id: str) -> HistoryEvent:
    event = HistoryEvent(event_id=6, event_type="EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED")
    execution = WorkflowExecution(workflow_id=child, run_id=run_id)
    event.child_workflow_execution_started_event_attributes.workflow_execution.CopyFrom(execution)
    return event


@pytest.fixture
def runs() -> Runs:
    runs = Runs()
    runs.was(LOCK, "now", Status.RUNNING)
    return runs


@pytest.mark.parametrize("how", [Status.TERMINATED, Status.TIMED_OUT, Status.FAILED])
async def test_a_run_that_was_cut_off_is_reported_with_what_it_may_have_changed(runs, how):
    runs.was(LOCK, "before", how, began("deploy_release"))
    found = await runs.before(NOW)
    assert (found.run_id, found.how) == ("before", how.name.lower().replace("_", " "))
    assert found.changes == ("UpdateService at 1970-01-01 00:00:00 UTC (may not have been made)",)


async def test_only_the_run_just_before_counts_and_one_that_ended_properly_left_nothing(runs):
    runs.was(LOCK, "before", Status.COMPLETED, began("deploy_release"))
    runs.was(LOCK, "long ago", Status.TERMINATED, began("deploy_release"))
    assert (await runs.before(NOW)).changes == ()


async def test_a_run_that_is_paused_on_the_server_has_not_ended(runs):
    runs.was(LOCK, "paused", 8, began("deploy_release"))
    runs.was(LOCK, "before", Status.TERMINATED, began("force_deployment"))
    assert (await runs.before(NOW)).run_id == "before"


async def test_what_a_child_of_the_one_that_was_cut_off_changed_counts_as_its_own(runs):
    runs.was(LOCK, "before", Status.TERMINATED, began("read_history"), ran(CHILD, "its child"))
    runs.was(CHILD, "its child", Status.COMPLETED, began("deploy_release"))
    found = await runs.before(NOW)
    assert (found.run_id, found.changes[0][:13]) == ("before", "UpdateService")


async def test_a_child_asks_after_the_predecessor_of_the_procedure_that_holds_the_lock(runs):
    runs.was(LOCK, "before", Status.TERMINATED, began("force_deployment"))
    runs.was(CHILD, "child of now", Status.RUNNING)
    child = RunName(workflow_id=CHILD, run_id="child of now")
    assert (await runs.before(child)).changes == ()
    assert (await runs.before(child.model_copy(update={"under": NOW}))).run_id == "before"


async def test_an_earlier_child_that_was_cut_off_counts_where_the_lock_left_nothing(runs):
    runs.was(LOCK, "before", Status.COMPLETED)
    runs.was(CHILD, "child of now", Status.RUNNING)
    runs.was(CHILD, "child of before", Status.TERMINATED, began("deploy_release"))
    child = RunName(workflow_id=CHILD, run_id="child of now", under=NOW)
    assert (await runs.before(child)).run_id == "child of before"


def made_by_pages() -> set[str]:
    """The activities that some page runs as a change."""
    calls = (
        node
        for file in WORKFLOWS.rglob("*.py")
        if file.parent.name != "page"  # there a change is sent again once people have signed it
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "change"
    )
    return {ast.unparse(call.args[1]).rpartition(".")[2] for call in calls if len(call.args) > 1}


def test_every_change_of_a_page_is_one_that_the_next_run_knows():
    made = {"apply_terraform" if name == "_APPLY" else name for name in made_by_pages()}
    assert {"deploy_release", "apply_terraform", "reboot_instance"} <= made
    assert sorted(made - set(CHANGES)) == []
