"""``runbook catalog discover`` for real: the command line, the program that it starts, and the sandbox's AWS."""

import pytest

from runbook_model.catalog.catalog import load_catalog
from starter.exits import Exit
from tests.integration.cli.command_line import CommandLine
from tests.sandbox_under_test import until

REQUESTS = 'http_requests_total{service="ai-processor"}'
CLUSTERS = ("--cluster", "ai-processor-prod", "--cluster", "ai-processor-staging")


@pytest.fixture
def discover(world, tmp_path):
    """Run it on the sandbox's own two services; returns what it said, and the file's path."""
    file = tmp_path / "catalog.toml"

    async def run(*words, **environment):
        words = ("catalog", "discover", "-o", str(file), *words)
        return await CommandLine(world.addresses.temporal, "prod")(
            *words, **world.addresses.env | environment
        ), file

    return run


async def test_what_it_finds_of_the_sandbox_is_a_catalog_as_it_is(discover, world):
    before = len(world.calls())
    with world.under_load("prod", "staging"):
        until(lambda: {labels["environment"] for labels, _ in world.query(REQUESTS)} >= {"prod", "staging"})
    said, file = await discover(*CLUSTERS, "--prometheus", world.addresses.prometheus, "--json")
    assert said.code == Exit.DONE, said.err
    assert (said.json["environments"], said.json["services"], said.json["targets"]) == (2, 1, 2)
    assert said.json["not_read"] == said.json["left_out"] == []
    catalog = load_catalog(file)
    assert said.json["catalog"] == file.read_text()
    assert file.read_text().count('\nmetrics = { preset = "runbook" }') == 2
    for environment in ("prod", "staging"):
        target = catalog.target("ai-processor", environment)
        assert target.ecs_service == f"ai-processor-service-{environment}"
        assert target.log_group == f"/ecs/ai-processor-{environment}"
        assert target.container == "app"
        assert target.health_url == f"{world.addresses.service[environment]}/health"
        assert (target.prometheus_url, target.release_label) == (world.addresses.prometheus, "release")
    reads = {call["action"] for call in world.calls(since=before)}
    assert all(name.startswith(("Describe", "List", "Get")) for name in reads)


async def test_throttling_is_waited_out_and_a_denial_is_a_comment(discover, world):
    world.fault("DescribeServices", times=2, error="ThrottlingException")
    world.fault("DescribeTaskDefinition", times=2, error="AccessDeniedException")
    said, file = await discover(*CLUSTERS)
    assert said.code == Exit.DONE, said.err
    assert "ecs:DescribeTaskDefinition was not read: allow ecs:DescribeTaskDefinition" in said.err
    assert '# container = "…"  # not read: allow ecs:DescribeTaskDefinition' in file.read_text()
    assert load_catalog(file).target("ai-processor", "prod").log_group is None


async def test_a_file_that_is_there_is_never_written_over(discover, tmp_path):
    (tmp_path / "catalog.toml").write_text("mine")
    said, file = await discover(*CLUSTERS)
    assert (said.code, file.read_text()) == (Exit.BAD_INPUT, "mine")
    assert "exists already; name another file, or remove it" in said.err
