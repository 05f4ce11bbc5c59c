"""The worked example of the documentation: it runs, it is what its page shows, and its page is sound."""

from datetime import timedelta
from pathlib import Path

import pytest
from stuck_deployment.procedure import PROCEDURE

from runbook_model.catalog.policies import Approvals
from runbook_model.reports import Outcome
from tests.procedures.stage import sick
from tests.procedures.stage.outside import release
from tests.procedures.stage.sick import Sick
from workflows.lock import Lock
from workflows.procedures import check_page

DOCS = Path(__file__).parents[2] / "docs"
STUCK = "stuck-deployment"
EXAMPLE = DOCS / "examples" / STUCK


@pytest.fixture
def outside(monkeypatch) -> Sick:
    """A service whose newest deployment has been under way for half an hour, where the example is a procedure."""
    monkeypatch.setattr(sick, "WORKFLOWS", [PROCEDURE.workflow, Lock])
    outside = Sick()
    outside.deployed(release(3), status="IN_PROGRESS")
    return outside


async def test_a_stuck_deployment_is_stopped_once_and_it_is_verified(pages, outside):
    report = await pages.run(STUCK)
    assert report.outcome is Outcome.RECOVERED, report.summary
    assert outside.changes == ["stop"]
    assert outside.current == release(2)
    assert [(task.kind, task.state) for task in report.tasks] == [("long-term", "open")]


async def test_nothing_is_stopped_before_a_person_says_yes(pages, outside):
    outside.approvals = Approvals()
    run = await pages.start(STUCK)
    asked = (await pages.asked(run)).checkpoint
    assert asked.plan.headline == "Stop the deployment of shop:3 (1.3.0); shop:2 (1.2.0) runs again"
    assert outside.changes == []
    assert (await pages.answer(run)).outcome is Outcome.RECOVERED
    assert outside.changes == ["stop"]


async def test_one_that_still_has_time_may_arrive(pages, outside):
    outside.more = {"read_at": outside.history[0].created_at + timedelta(minutes=5)}
    report = await pages.run(STUCK)
    assert (report.outcome, report.error.kind) == (Outcome.REFUSED, "policy")
    assert "5m of 30m" in report.error.message
    assert report.error.fix == "let it arrive"
    assert outside.changes == []


async def test_without_one_under_way_nothing_is_needed(pages, outside):
    outside.deployed(release(4))
    report = await pages.run(STUCK)
    assert report.outcome is Outcome.NOT_NEEDED


@pytest.mark.parametrize(
    "file",
    [
        "pyproject.toml",
        "stuck_deployment/workflow.py",
        "stuck_deployment/stopping.py",
        "stuck_deployment/procedure.py",
        "test_stuck_deployment.py",
    ],
)
def test_the_page_that_explains_it_shows_what_is_run(file):
    page = (DOCS / "write-your-own-procedure.md").read_text()
    assert f"\n{(EXAMPLE / file).read_text()}```" in page


def test_its_page_says_what_its_workflow_does():
    assert check_page(PROCEDURE) == []
