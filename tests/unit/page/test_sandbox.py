"""The one sandbox of workflows: pages load in it, and nothing that runs share needs a word of its own for that."""

from pathlib import Path

import pytest

from worker import WORKFLOWS
from workflows.page.sandbox import PASSED_THROUGH, sandbox_runner

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("workflow", WORKFLOWS)
async def test_every_workflow_of_the_worker_loads_in_the_sandbox(workflow):
    sandbox_runner().prepare_workflow(workflow.__temporal_workflow_definition)


def test_no_workflow_names_what_is_passed_through_a_second_time():
    naming = [
        path.name
        for path in (ROOT / "workflows").rglob("*.py")
        if "imports_passed_through" in path.read_text()
    ]
    assert naming == []


def test_pages_stay_in_the_sandbox():
    pages = {workflow.__module__ for workflow in WORKFLOWS}
    assert pages
    assert [page for page in pages if page.startswith(PASSED_THROUGH)] == []
