"""Stories of bad releases: one is put back by ECS, one by Terraform, one crashes, one fails its requests."""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from runbook_model.plans import Plan
from starter.client.connect import ui_address
from starter.client.run_view import RunView
from starter.demo.scenes import (
    FAILING,
    ask_and_approve,
    back_to_first,
    changed_exactly,
    deploy,
    deploy_failing,
    everyday,
    evidence,
    goes_down,
    healthy_release,
    kill_worker,
    new_worker_recovers,
    recovered,
    requests_fail,
    waits_for_steady,
)
from starter.demo.stage import ENVIRONMENT, SERVICE, Stage, terraform_program
from starter.printing import clock, span

MODULE = """\
# The module that owns the service. Its resources are Terraform's own: no provider has to be fetched.
variable "image_tag" {{ type = string }}
locals {{
  fails = var.image_tag == "1.1.0" ? "0.3" : "0"
}}
resource "terraform_data" "task_definition" {{
  input = jsonencode([{{ name = "app", image = "{service}:${{var.image_tag}}" }}])
}}
resource "terraform_data" "service" {{
  triggers_replace = [terraform_data.task_definition.input]
  provisioner "local-exec" {{
    command = "'{python}' -m sandbox deploy --environment {environment} --version ${{var.image_tag}} --set FAULT_ERROR_RATE=${{local.fails}}"
  }}
}}
"""


STRATEGY = 'rollback = { strategy = "task-definition"'


async def bad_release(stage: Stage) -> None:
    """Play the story: a release with 30 % errors is put back, although the worker is killed half-way."""
    story_log = stage.story_log
    await healthy_release(stage)
    with story_log.part("A bad release is deployed"):
        await deploy_failing(stage)
    await ask_and_approve(
        stage,
        "rollback",
        "30 % errors since 1.1.0",
        title="alice starts a rollback",
        expected="the plan goes back to 1.0.0",
        shows=back_to_first,
    )
    with story_log.part("The worker is killed while ECS rolls"):
        await _crash(stage)
    with story_log.part("A new worker continues"):
        ended = await _go_on(stage)
    with story_log.part("What was done"):
        await _sum_up(stage, ended)


async def _crash(stage: Stage) -> None:
    story_log = stage.story_log
    await stage.until_seen("the rollout is waited for", waits_for_steady, 60)
    kill_worker(stage)
    view = await stage.see()
    story_log.expect("the rollout was not over", waits_for_steady(view), view.report.summary)
    story_log.expect(
        "the page can still be read, without any worker",
        not view.live and view.report.steps,
        f"{len(view.report.steps)} steps",
    )


async def _go_on(stage: Stage) -> RunView:
    ended = await new_worker_recovers(stage)
    steady = next((step for step in ended.report.steps if step.heading == "Wait for steady state"), None)
    stage.story_log.expect(
        "the new worker saw steady state", steady and steady.state == "done", steady.step if steady else ""
    )
    return ended


async def _sum_up(stage: Stage, ended: RunView) -> None:
    story_log, report, run = stage.story_log, ended.report, ended.run
    story_log.say(
        f"{report.procedure} of {report.service} in {report.environment}, asked by {report.requested_by}: {report.outcome}"
    )
    for decision in report.decisions:
        story_log.say(f"{clock(decision.at)}  {decision.kind} by {decision.by}: {decision.detail}")
    for heading, took in _lengths(ended).items():
        story_log.say(f"{span(took):>8}  {heading}")
    made = await stage.calls()
    changes = [call for call in made if call.changes]
    for call in changes:
        story_log.say(f"AWS change: {call.action} {call.parameters.get('taskDefinition', '')}".rstrip())
    marks = sum(len(call.parameters.get("tags", ())) for call in made if call.action == "TagResource")
    story_log.say(f"ledger of releases: {marks} tags")
    await changed_exactly(stage, "UpdateService")
    whole = run.ended - run.started if run.ended else timedelta(0)
    story_log.say(f"from the request to the end: {span(whole)}")
    story_log.say(
        f"the run's history (until this sandbox is stopped): {ui_address(stage.client, run.id, run.run_id)}"
    )


def _lengths(ended: RunView) -> dict[str, timedelta]:
    """Say how long each part of the page took, waits for people included."""
    steps = ended.report.steps
    first = {step.heading: step.started for step in reversed(steps)}
    ends = [*list(first.values())[::-1][1:], ended.run.ended or steps[-1].started]
    return {heading: end - first[heading] for heading, end in zip(reversed(first), ends, strict=True)}


async def bad_release_terraform(stage: Stage) -> None:
    """Play the story: the service belongs to a Terraform module: its own variable is put back, by exactly the plan that was approved."""
    story_log = stage.story_log
    with tempfile.TemporaryDirectory(prefix="runbook-demo-terraform-", ignore_cleanup_errors=True) as folder:
        await healthy_release(stage)
        with story_log.part("A bad release is applied"):
            _hand_over(stage, Path(folder))
            story_log.say(f"its owners apply the module with image_tag = 1.1.0, {FAILING}")
            apply = [
                terraform_program() or "terraform",
                "apply",
                "-auto-approve",
                "-input=false",
                "-no-color",
            ]
            applied = await stage.succeeds("it is applied", [*apply, "-var=image_tag=1.1.0"], Path(folder))
            story_log.need("terraform apply succeeds", applied)
            await requests_fail(stage, 40)
        await ask_and_approve(
            stage,
            "rollback",
            "30 % errors since 1.1.0",
            title="alice starts a rollback",
            expected="the plan is Terraform's own, with image_tag = 1.0.0",
            shows=lambda plan: _sets(plan, image_tag="1.0.0"),
        )
        with story_log.part("Terraform applies exactly that, and it is verified"):
            ended = await recovered(stage)
        with story_log.part("What was done"):
            actions = [
                f"{change.action}: {change.before} -> {change.after}" for change in ended.report.changes
            ]
            story_log.expect("one change was made, by Terraform", len(actions) == 1, "; ".join(actions))
            await changed_exactly(stage, "RegisterTaskDefinition", "UpdateService")


def _sets(plan: Plan, **wanted: str) -> tuple[bool, object]:
    """See whether a plan is one of Terraform that sets exactly these variables."""
    variables = [call.parameters.get("variables") for call in plan.calls]
    return variables == [wanted], variables


def _hand_over(stage: Stage, folder: Path) -> None:
    """Write the module, and say in the catalog that it owns the service."""
    module = MODULE.format(python=sys.executable, service=SERVICE, environment=ENVIRONMENT)
    (folder / "main.tf").write_text(module)
    catalog = Path(stage.world.addresses["catalog"])
    head, section, rest = catalog.read_text().partition(f"[services.{SERVICE}.{ENVIRONMENT}]")
    owned = f'{section}\nterraform = {{ directory = "{folder}" }}'
    stage.story_log.need("the catalog names the service", section and STRATEGY in rest)
    catalog.write_text(head + owned + rest.replace(STRATEGY, 'rollback = { strategy = "terraform"', 1))
    stage.story_log.say(f"the catalog says that the module in {folder} owns the service")


async def crash_loop(stage: Stage) -> None:
    """Play the story: a release crashes again and again; service-down finds that out, and has it rolled back."""
    story_log = stage.story_log
    await healthy_release(stage)
    with story_log.part("A release that crashes is deployed"):
        words = "whose tasks crash six seconds after their start"
        await deploy(stage, "1.1.0", words, FAULT_CRASH_AFTER_SECONDS="6")
        await goes_down(stage, "but soon nothing answers")
    await ask_and_approve(
        stage,
        "service-down",
        "nothing answers",
        expected="it found the release, and goes back to 1.0.0",
        shows=back_to_first,
    )
    await _rolled_back(stage, "Read the tasks and why they stopped")


async def failing_release(stage: Stage) -> None:
    """Play the story: requests fail since a release; high-error-rate distinguishes it from load and dependencies, and has it rolled back."""
    story_log = stage.story_log
    await healthy_release(stage)
    await everyday(stage)
    with story_log.part("A release that fails is deployed"):
        await deploy_failing(stage)
    await ask_and_approve(
        stage,
        "high-error-rate",
        "30 % errors",
        title="alice starts high-error-rate, and does not know why requests fail",
        expected="errors started with the release: it goes back to 1.0.0",
        shows=back_to_first,
    )
    await _rolled_back(stage, "Read which requests fail, and since when")


async def _rolled_back(stage: Stage, step: str) -> None:
    """See the rollback that the procedure runs, and what one of its steps was decided on."""
    with stage.story_log.part("A rollback runs as its child, and it is verified"):
        ended = await recovered(stage)
    with stage.story_log.part("What was done"):
        evidence(stage, ended, step)
        await changed_exactly(stage, "UpdateService")
