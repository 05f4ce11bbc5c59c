"""Mistyped names, answered with the nearest of those that Temporal and the catalog know."""

import pytest

CATALOG = """
[environments.{0}]
cluster = "ai-processor"
[services.ai-processor.{0}]
ecs_service = "ai-processor-service"
"""


@pytest.fixture
async def started(runbook, tmp_path):
    """A run that no worker takes, listed by Temporal, and a catalog of its environment."""
    (tmp_path / "catalog.toml").write_text(CATALOG.format(runbook.environment))
    assert (await runbook.start()).code == 0
    while not (await runbook("list", runbook.environment, "--json")).json:
        pass
    return runbook


def mistyped(name):
    return f"{name[:-2]}x{name[-2:]}"


@pytest.mark.parametrize("verb", ["show", "watch", "approve", "pause", "review", "ack"])
async def test_a_target_where_nothing_has_run_is_answered_with_the_nearest_one(started, verb):
    refused = await started(verb, mistyped(started.short))
    assert (refused.code, refused.out) == (2, "")
    assert f"(did you mean {started.short}?)" in refused.err
    assert len(refused.err.splitlines()) == 1


async def test_an_id_that_is_none_is_answered_with_the_nearest_one(started):
    refused = await started("show", mistyped(started.id))
    assert (refused.code, f"(did you mean {started.id}?)" in refused.err) == (2, True)


@pytest.mark.parametrize("verb", ["list", "metrics"])
async def test_an_environment_that_neither_catalog_nor_runs_have_is_an_error(started, tmp_path, verb):
    refused = await started(
        verb, "--environment", mistyped(started.environment), "--catalog", str(tmp_path / "catalog.toml")
    )
    assert (refused.code, refused.out) == (2, "")
    assert f"(did you mean {started.environment}?)" in refused.err


async def test_without_a_catalog_nothing_is_listed_and_the_nearest_name_is_said(started):
    listed = await started("list", mistyped(started.environment), "--json")
    assert (listed.code, listed.json) == (0, [])
    assert f"(did you mean {started.environment}?)" in listed.err


async def test_a_list_says_when_there_is_more(started):
    assert (await started("open", started.short)).code == 0
    while len((await started("list", started.environment, "--json")).json) < 2:
        pass
    listed = await started("list", started.environment, "--limit", "1", "--json")
    assert len(listed.json) == 1
    assert "there are more runs than the 1 shown; narrow the list, or raise --limit" in listed.err


async def test_open_runs_are_completed(started):
    completed = await started(
        _RUNBOOK_COMPLETE="bash_complete", COMP_WORDS=f"runbook show {started.environment}", COMP_CWORD="2"
    )
    assert completed.out == f"plain,{started.short}\n"
    completed = await started(
        _RUNBOOK_COMPLETE="bash_complete", COMP_WORDS="runbook show remediation/", COMP_CWORD="2"
    )
    assert f"plain,{started.id}" in completed.out.splitlines()
