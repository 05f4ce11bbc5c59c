"""The command line while no worker answers, and while Temporal itself is away."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage
from temporalio.api.update.v1 import Input, Meta, Request, WaitPolicy
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest, UpdateWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus
from temporalio.worker import UnsandboxedWorkflowRunner

from runbook_model.authority.shown import plan_hash
from runbook_model.messages import RollbackRequest
from tests.integration.cli.command_line import CommandLine
from tests.integration.cli.page_workflow import PLAN
from tests.integration.observing.otlp_collector import BlackHole
from tests.patience import PATIENCE


@asynccontextmanager
async def sooner_than_temporal(runbook):
    """What is done here ends before Temporal itself gives up waiting for a worker that takes an update."""
    request = UpdateWorkflowExecutionRequest(
        namespace="default",
        workflow_execution=WorkflowExecution(workflow_id=runbook.id),
        wait_policy=WaitPolicy(
            lifecycle_stage=UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
        ),
        request=Request(meta=Meta(update_id="waits"), input=Input(name="none")),
    )
    waiting = asyncio.create_task(runbook.client.workflow_service.update_workflow_execution(request))
    yield
    assert not waiting.done()
    waiting.cancel()


async def test_start_says_that_no_worker_serves_the_environment(runbook):
    started = await runbook.start("--json")
    assert started.code == 0
    assert started.json["id"] == runbook.id
    assert f"no worker serves {runbook.environment}" in started.err


async def test_show_reports_the_checkpoint_and_the_steps_from_the_server_alone(runbook):
    async with runbook.worker():
        await runbook.start_and_ask("--reason", "errors")
    shown = await runbook("show", runbook.short, "--json")
    assert shown.code == 0
    page = shown.json
    assert (page["live"], page["state"], page["outcome"]) == (False, "awaiting-approval", None)
    assert (page["requested_by"], page["reason"]) == ("alice", "errors")
    assert page["checkpoint"]["plan_hash"] == plan_hash(PLAN)
    assert [(step["heading"], step["step"], step["state"]) for step in page["steps"]] == [
        ("Look", "Read the service", "done")
    ]


async def test_watch_says_that_no_worker_answers_until_the_run_ends(runbook):
    await runbook.start()
    watching = await runbook.begin("watch", runbook.short)
    while "no worker answers" not in (line := (await watching.stdout.readline()).decode()):
        assert line, (await watching.stderr.read()).decode()
    await runbook.client.get_workflow_handle(runbook.id).terminate(reason="enough")
    rest, err = await watching.communicate()
    assert (watching.returncode, err) == (1, b"")
    assert b"terminated" in rest


async def test_an_answer_is_one_document_however_much_is_sent(runbook):
    started = await runbook.start("--json", "--reason", "\N{FIRE}" * 2000)
    assert started.json["id"] == runbook.id
    shown = await runbook("show", runbook.short, "--json")
    assert shown.json["reason"] == "\N{FIRE}" * 2000


async def test_show_works_before_any_worker_was_ever_there(runbook):
    await runbook.start("--reason", "errors")
    page = (await runbook("show", runbook.short, "--json")).json
    assert (page["live"], page["state"], page["requested_by"], page["steps"]) == (
        False,
        "running",
        "alice",
        [],
    )


async def test_approve_is_recorded_and_takes_effect_when_a_worker_is_back(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
    async with sooner_than_temporal(runbook):
        approved = await runbook("approve", runbook.short, "--json", user="bob")
    assert approved.code == 0
    assert (approved.json["recorded"], approved.json["confirmed"]) == (True, False)
    async with runbook.worker():
        watched = await runbook("watch", runbook.short, "--json")
    assert (watched.code, watched.json["outcome"]) == (0, "recovered")


async def test_abort_says_that_it_is_only_recorded(runbook):
    await runbook.start()
    async with sooner_than_temporal(runbook):
        aborted = await runbook("abort", runbook.short, "--reason", "wrong one")
    assert aborted.code == 0
    assert aborted.out.strip() == "recorded; takes effect when a worker is back"


@workflow.defn(name="Rollback")
class BrokenRollback:
    """Its code fails, so that its worker tries the same task again and again."""

    @workflow.run
    async def run(self, request: RollbackRequest) -> None:
        raise RuntimeError(f"a bug met {request.service}")


async def test_an_abort_of_a_run_whose_code_fails_on_its_worker_is_recorded_too(runbook):
    await runbook.start()
    handle = runbook.client.get_workflow_handle(runbook.id)
    async with runbook.worker(BrokenRollback, UnsandboxedWorkflowRunner()):
        while (await handle.describe()).raw_description.pending_workflow_task.attempt < 4:
            await asyncio.sleep(0.1)
        aborted = await runbook("abort", runbook.short, "--reason", "wrong one", "--json")
    assert (aborted.code, aborted.json["recorded"], aborted.json["confirmed"]) == (0, True, False), (
        aborted.err
    )
    async with asyncio.timeout(
        PATIENCE
    ):  # Temporal keeps it back until the task that is under way has failed
        while "abort" not in await signals_of(handle):
            await asyncio.sleep(0.1)


async def signals_of(handle):
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        async for event in handle.fetch_history_events()
    ]


async def test_no_yes_is_sent_to_a_plan_that_nobody_saw(runbook):
    await runbook.start()
    approved = await runbook("approve", runbook.short, user="bob")
    assert approved.code == 5
    assert "has no plan to approve yet" in approved.err


async def test_a_pause_is_recorded_and_takes_effect_when_a_worker_is_back(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
    paused = await runbook("pause", runbook.short, "--json")
    assert paused.code == 0
    assert (paused.json["recorded"], paused.json["confirmed"]) == (True, False)
    async with runbook.worker():
        assert (await runbook("show", runbook.short, "--json")).json["state"] == "paused"


async def test_resume_says_that_it_is_only_recorded(runbook):
    await runbook.start()
    resumed = await runbook("resume", runbook.short)
    assert resumed.code == 0
    assert resumed.out.strip() == "recorded; takes effect when a worker is back"


async def test_a_resume_is_not_signed_while_nobody_says_how_many_came_before(runbook):
    await runbook.start()
    resumed = await runbook("resume", runbook.short, "--sign", "a-key")
    assert resumed.code == 1
    assert "no worker is responding, and only one knows how many such orders came before" in resumed.err


async def test_a_terminated_run_is_reported_as_such(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
    await runbook.client.get_workflow_handle(runbook.id).terminate(reason="the operator gave up")
    shown = await runbook("show", runbook.short, "--json")
    page = shown.json
    assert shown.code == 0
    assert (page["state"], page["outcome"], page["error"]["kind"]) == ("done", "failed", "terminated")
    assert "the operator gave up" in page["error"]["message"]
    assert (await runbook("watch", runbook.short)).code == 1


async def test_the_end_is_known_without_a_worker(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        await runbook("approve", runbook.short, user="bob")
        await runbook("watch", runbook.short)
    page = (await runbook("show", runbook.short, "--json")).json
    assert (page["live"], page["outcome"]) == (False, "recovered")
    assert page["changes"][0]["action"] == "UpdateService"


async def test_an_id_that_is_not_there_is_bad_input(runbook):
    for words in (
        ("show", runbook.short),
        ("show", "remediation/no/where"),
        ("watch", "nowhere"),
        ("approve", runbook.short),
        ("abort", runbook.short, "--reason", "x"),
    ):
        said = await runbook(*words)
        assert said.code == 2, words
        assert len(said.err.splitlines()) == 1


async def test_temporal_away_is_exit_4_in_one_line_that_names_the_address():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"

        gone = CommandLine(address, "prod")
        async with asyncio.timeout(PATIENCE):  # and does not wait for ever
            said = await asyncio.gather(
                gone.start(),
                gone("list", "--json"),
                gone("show", "prod/ai-processor"),
                gone("approve", "prod/ai-processor"),
                gone("abort", "prod/ai-processor", "--reason", "x"),
            )
    for item in said:
        assert (item.code, item.out) == (4, "")
        assert address in item.err
        assert len(item.err.splitlines()) == 1


@pytest.fixture(params=["is gone", "never answers"])
def no_collector(request):
    """Where no collector takes traces."""
    if request.param == "is gone":
        yield "http://127.0.0.1:9"
        return
    hole = BlackHole()
    yield hole.url
    hole.end()
    assert hole.taken, "nobody tried"


async def test_a_collector_that_takes_nothing_fails_no_start(runbook, no_collector):
    started = await runbook.start("--json", OTEL_EXPORTER_OTLP_ENDPOINT=no_collector)
    assert started.code == 0, started
    page = (await runbook("show", runbook.short, "--json")).json
    assert len(page["trace_id"]) == 32


async def test_without_a_worker_the_trace_is_linked_by_the_local_catalog(runbook, tmp_path):
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(
        f'[environments.{runbook.environment}]\ncluster = "a"\n[links]\ntraces = "https://tempo.test/{{trace_id}}"\n'
        f'[services.{runbook.service}.{runbook.environment}]\necs_service = "a"\n'
    )
    await runbook.start("--catalog", str(catalog), OTEL_TRACES_EXPORTER="console")
    page = (await runbook("show", runbook.short, "--json", RUNBOOK_CATALOG=str(catalog))).json
    assert not page["live"]
    assert page["trace"] == f"https://tempo.test/{page['trace_id']}"
    shown = await runbook("show", runbook.short, "--catalog", str(catalog))
    assert f"trace {page['trace_id']}: {page['trace']}" in " ".join(shown.out.split())
    unknown = await runbook("show", runbook.short, "--json", RUNBOOK_CATALOG=str(tmp_path / "none.toml"))
    assert (unknown.code, unknown.json["trace"]) == (0, None)


async def pause_in_the_ui(runbook, workflow_id):
    await runbook.client.workflow_service.pause_workflow_execution(
        PauseWorkflowExecutionRequest(
            namespace="default",
            workflow_id=workflow_id,
            reason="a click",
            identity="somebody",
            request_id="1",
        )
    )


async def test_a_brake_that_was_paused_in_the_temporal_ui_is_not_said_to_be_none(runbook):
    await runbook("brake", "on", runbook.environment, "--reason", "migration")
    await pause_in_the_ui(runbook, f"brake/{runbook.environment}")
    shown = await runbook("brake")
    assert runbook.environment in shown.out
    assert "no brake is on" not in shown.out


async def test_a_run_that_was_paused_in_the_temporal_ui_is_still_shown_and_listed(runbook):
    await runbook.start()
    await pause_in_the_ui(runbook, runbook.id)
    shown = await runbook("show", runbook.short, "--json")
    listed = await runbook("list", "--environment", runbook.environment, "--open", "--json")
    assert (shown.code, shown.json["state"]) == (0, "paused")
    assert "Temporal UI" in shown.json["summary"]
    assert [row["state"] for row in listed.json] == ["paused"]


async def test_replace_ends_a_run_that_somebody_started_on_a_queue_that_no_worker_serves(runbook):
    squatter = await runbook.client.start_workflow("Rollback", {}, id=runbook.id, task_queue="nowhere")
    refused = await runbook.start("--json")
    assert (refused.code, "runs already" in refused.err) == (5, True)
    replaced = await runbook.start("--replace", "--json")
    assert replaced.code == 0, replaced.err
    assert "it waits on the queue nowhere" in replaced.err
    ended = runbook.client.get_workflow_handle(runbook.id, run_id=squatter.result_run_id)
    assert (await ended.describe()).status is WorkflowExecutionStatus.TERMINATED
