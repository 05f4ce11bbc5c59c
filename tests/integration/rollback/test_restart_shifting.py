"""A restart of the sandbox's service whose deployments shift traffic, on real processes: a whole deployment, said so in the plan."""

import asyncio

import pytest

from tests.integration.cli.command_line import CommandLine
from tests.integration.rollback.test_rollback_shifting import (
    NAMED,
    changes,
    deployment,
    sandbox,  # noqa: F401 - a fixture of this file too
)

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("restart-shifting")]
BLUE_GREEN = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1}


async def test_a_restart_is_a_whole_deployment_once_a_person_chooses_it(sandbox):  # noqa: F811 - the fixture
    sandbox.aws("ecs").update_service(**NAMED, deploymentConfiguration=BLUE_GREEN)
    sandbox.load("staging/bluegreen", 25)
    before, since = deployment(sandbox)["serviceDeploymentArn"], len(sandbox.calls())
    cli, given = CommandLine(sandbox.addresses.temporal, "staging"), sandbox.addresses.env
    started = await cli(
        "start",
        "service-down",
        "--service",
        "bluegreen",
        "--environment",
        "staging",
        "--json",
        **given,
    )
    assert started.code == 0, started.err
    watching = asyncio.create_task(cli("watch", started.json["id"], "--json", **given))
    while not watching.done():
        shown = (await cli("show", started.json["id"], "--json", **given)).json
        gate = shown["checkpoint"]
        if gate and shown["outcome"] is None:
            options = ["--option", "restart"] if "restart" in gate["options"] else []
            await cli("approve", started.json["id"], "--yes", *options, user="bob", **given)
        await asyncio.wait([watching], timeout=1)
    report = (await cli("show", started.json["id"], "--json", **given)).json
    assert report["outcome"] == "recovered", report["summary"]
    assert changes(sandbox, since) == ["UpdateService"]
    assert "A restart is a whole deployment of this service." in report["plan"]["because"]
    after = deployment(sandbox)
    assert (after["status"], after["serviceDeploymentArn"] != before) == ("SUCCESSFUL", True)
