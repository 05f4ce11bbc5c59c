"""Rollback to a release that a person names, and services that cannot be rolled back."""

from uuid import uuid4

import pytest

from runbook_model.messages import RollbackRequest
from runbook_model.names.ids import plan_id
from runbook_model.reports import Report
from starter.client.starting import begin


async def planned(shop, to):
    """Plan only: nothing is changed, so that one service does for many questions."""
    request = RollbackRequest(service=shop.name, environment=shop.environment, to=to, plan_only=True)
    workflow_id = plan_id(shop.environment, shop.name, "rollback", uuid4().hex[:8])
    run_id = await begin(shop.stage.client, "rollback", request, workflow_id=workflow_id)
    handle = shop.stage.client.get_workflow_handle(workflow_id, run_id=run_id, result_type=Report)
    return await handle.result()


async def test_a_release_is_found_by_revision_tag_digest_or_arn(stage):
    shop = stage.open_shop("open", "1.0.0", "1.1.0", "1.2.0")
    oldest, digest = f"{shop.name}:1", shop.digest(f"{shop.name}:1")
    arn = stage.ecs.describe_task_definition(taskDefinition=oldest)["taskDefinition"]["taskDefinitionArn"]
    for name in ("1", oldest, arn, "1.0.0", "v1.0.0", digest, digest.removeprefix("sha256:")[:12]):
        report = await planned(shop, name)
        assert report.outcome == "planned", name
        assert report.plan.after.revision == oldest, name
    never_ran = shop.register("1.0.5").rpartition("/")[2]
    report = await planned(shop, never_ran)
    assert report.plan.after.revision == never_ran
    assert "never completed a deployment of this service" in report.plan.needs_yes

    ended = await shop.cli.start("--wait", "--json", "--to", "1.0.0")
    assert (ended.code, ended.json["outcome"]) == (0, "recovered")
    assert shop.runs() == oldest
    assert shop.changes() == ["UpdateService"]


async def test_what_is_unknown_bad_or_there_already_changes_nothing(stage):
    shop = stage.a_shop()
    unknown = await shop.cli.start("--wait", "--json", "--to", "9.9.9")
    assert (unknown.code, unknown.json["error"]["kind"]) == (2, "input")
    assert f"{shop.name}:1 (1.0.0)" in unknown.json["error"]["fix"]

    shop.mark(f"{shop.name}:1", "bad")
    bad = await shop.cli.start("--wait", "--json", "--to", "1.0.0")
    assert (bad.code, bad.json["error"]["kind"]) == (5, "policy")
    assert "is marked bad" in bad.json["error"]["message"]

    there = await shop.cli.start("--wait", "--json", "--to", "1.1.0")
    assert (there.code, there.json["outcome"]) == (0, "not-needed")
    assert shop.changes() == []


async def test_a_plan_makes_reads_only_and_takes_no_lock(stage):
    shop = stage.a_shop()
    before = len(stage.world.calls())
    said = await shop.cli.start("--plan", "--json")
    assert said.code == 0, said.err
    assert said.json["release"] == {"from": f"{shop.name}:2", "to": f"{shop.name}:1"}
    assert [call["action"] for call in said.json["calls"]] == ["UpdateService"]
    made = {call["action"] for call in stage.world.calls(since=before)}
    assert made
    assert {
        action for action in made if not action.startswith(("Describe", "List", "Get", "Filter"))
    } == set()
    nothing = await shop.cli("show", shop.id, "--json")
    assert nothing.code == 2


@pytest.mark.parametrize("named", [None, "1.0.0"], ids=["the last known good", "asked for"])
async def test_a_deregistered_release_is_registered_again_pinned_by_digest(stage, named):
    shop = stage.a_shop()
    digest = shop.digest(f"{shop.name}:1")
    stage.ecs.deregister_task_definition(taskDefinition=f"{shop.name}:1")
    report = await shop.roll_back(to=named)
    assert report.outcome == "recovered", report.summary
    assert report.decisions == ()
    assert shop.changes() == ["RegisterTaskDefinition", "UpdateService"]
    assert shop.runs() == f"{shop.name}:3"
    assert shop.images() == [f"ai-processor@{digest}"]
    assert shop.digest(f"{shop.name}:3") == digest


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"deploymentController": {"type": "CODE_DEPLOY"}}, "its controller is CODE_DEPLOY"),
        ({"deploymentController": {"type": "EXTERNAL"}, "version": None}, "its controller is EXTERNAL"),
        ({"schedulingStrategy": "DAEMON", "desired": None}, "its scheduling is DAEMON"),
    ],
    ids=["CODE_DEPLOY", "EXTERNAL", "DAEMON"],
)
async def test_a_service_that_others_deploy_is_refused(stage, settings, why):
    version = settings.pop("version", "1.0.0")
    shop = stage.open_shop("open", version, url=False, wait=False, **settings)
    ended = await shop.cli.start("--wait", "--json")
    assert (ended.code, ended.json["error"]["kind"]) == (5, "policy"), ended.json["summary"]
    assert why in ended.json["error"]["message"]
    assert shop.changes() == []


async def test_a_service_of_which_nothing_shall_run_is_refused(stage):
    shop = stage.a_shop()
    shop.update(desiredCount=0)
    ended = await shop.cli.start("--wait", "--json")
    assert (ended.code, ended.json["error"]["kind"]) == (5, "policy")
    assert "its desired count is 0" in ended.json["error"]["message"]


async def test_a_service_that_is_being_deleted_is_refused(stage):
    shop = stage.a_shop()
    shop.delete()
    report = await shop.roll_back()
    assert (report.outcome, report.error.kind) == ("refused", "policy")
    assert report.error.message.startswith(("the service is DRAINING", "the service is INACTIVE"))
