"""The procedure database-issues for real: PostgreSQL of the sandbox, tasks that use it, a worker, the command line."""

import time
from pathlib import Path

import psycopg
import pytest

from activities.runtime.processes import kill_child
from tests.integration.cli.command_line import CommandLine
from tests.patience import PATIENCE
from tests.programs import Program
from tests.sandbox_under_test import running_sandbox, until

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("database-issues")]


@pytest.fixture(scope="module")
def broken_world(tmp_path_factory):
    """A sandbox that nobody else looks at, with a worker: its databases are broken here."""
    with running_sandbox() as sandbox, (tmp_path_factory.mktemp("worker") / "log").open("w+b") as log:
        worker = Program("worker", environment=sandbox.environment, log=log)
        yield sandbox
        kill_child(worker)
        log.seek(0)
        said = log.read().decode()
        assert all(dsn not in said for name, dsn in sandbox.addresses.env.items() if "DSN" in name)


def dsn(world, environment):
    return world.addresses.env[f"AI_PROCESSOR_DSN_{environment.upper()}"]


def sessions(world, environment):
    """Application and state of the service's sessions."""
    with psycopg.connect(dsn(world, environment)) as connection:
        return connection.execute(
            "SELECT application_name, state FROM pg_stat_activity WHERE usename = 'ai_processor' ORDER BY 1"
        ).fetchall()


def forgotten_for(world, environment):
    """Seconds that the newest of the forgotten sessions has been forgotten for."""
    with psycopg.connect(dsn(world, environment)) as connection:
        return connection.execute(
            "SELECT extract(epoch FROM min(now() - state_change)) FROM pg_stat_activity WHERE state LIKE 'idle in %'"
        ).fetchone()[0]


def fails(world, environment):
    url = f"{world.addresses.service[environment]}/api/v1/process"
    return world.http.post(url, json={"test": "data"}).status_code == 500


async def run(world, environment, *words):
    cli = CommandLine(world.addresses.temporal, environment)
    return await cli(*words, **world.addresses.env)


async def start(world, environment, *words):
    names = ("--service", "ai-processor", "--environment", environment)
    return await run(world, environment, "start", "database-issues", *names, *words)


def test_every_task_uses_the_database_under_the_name_of_its_release(broken_world):
    found = until(lambda: len(now := sessions(broken_world, "prod")) >= 2 and now)
    assert {name.partition("/")[0] for name, _ in found} == {"ai-processor-prod:1"}
    assert {name.partition("/")[0] for name, _ in sessions(broken_world, "staging")} == {
        "ai-processor-staging:1"
    }


async def test_a_healthy_database_is_no_reason_to_change_anything(broken_world):
    ended = await start(broken_world, "staging", "--wait", "--json")
    assert ended.code == 1
    assert (ended.json["outcome"], ended.json["changes"]) == ("inconclusive", [])
    assert "Nothing that was read of the database is wrong" in ended.json["summary"]


async def test_connections_that_a_release_leaks_are_ended_and_the_service_recovers(broken_world):
    broken_world.deploy("staging", "1.1.0", wait=True, FAULT_DB_CONNECTIONS=20)
    until(lambda: fails(broken_world, "staging"))
    until(lambda: sum(state == "idle in transaction" for _, state in sessions(broken_world, "staging")) == 27)
    with pytest.raises(psycopg.OperationalError, match="reserved"):
        psycopg.connect(dsn(broken_world, "staging").replace("runbook:", "ai_processor:"))
    until(lambda: forgotten_for(broken_world, "staging") > 5)  # the catalog's leaked_after

    planned = await start(broken_world, "staging", "--plan", "--json")
    assert len(planned.json["calls"][0]["parameters"]["sessions"]) == 27
    assert fails(broken_world, "staging")

    ended = await start(broken_world, "staging", "--wait", "--json", "--reason", "too many connections")
    assert ended.code == 0, ended.out + ended.err
    page = ended.json
    assert (page["outcome"], page["verdict"]) == ("recovered", "recovered")
    assert [change["action"] for change in page["changes"]] == ["pg_terminate_backend"]
    freed = next(step for step in page["steps"] if step["heading"] == "Free connections")
    assert freed["state"] == "done"
    assert {reading["kind"] for reading in page["readings"]} >= {"health", "error-rate", "connections"}
    assert not fails(broken_world, "staging")
    assert dsn(broken_world, "staging").split(":")[2].partition("@")[0] not in ended.out


async def test_one_environments_leak_is_not_the_others(broken_world):
    assert not fails(broken_world, "prod")


async def test_a_database_that_is_down_is_a_persons_task_and_verified_once_it_is_back(broken_world):
    order = f"{broken_world.addresses.aws}/_sandbox/postgres"
    broken_world.http.post(order, json={"environment": "prod", "action": "kill"}).raise_for_status()
    until(lambda: fails(broken_world, "prod"))
    assert (await start(broken_world, "prod")).code == 0
    page = await shown_with_checkpoint(broken_world)
    assert page["checkpoint"]["question"].startswith("Bring the database back")
    assert "down: it accepts no connections" in page["summary"]

    broken_world.http.post(order, json={"environment": "prod", "action": "restart"}).raise_for_status()
    answered = await run(
        broken_world, "prod", "approve", "prod/ai-processor", "--as", "bob", "--option", "done", "--yes"
    )
    assert answered.code == 0, answered.err
    watched = await run(broken_world, "prod", "watch", "prod/ai-processor")
    assert watched.code == 0, watched.out
    page = (await run(broken_world, "prod", "show", "prod/ai-processor", "--json")).json
    assert (page["outcome"], page["changes"]) == ("recovered", [])


async def test_an_instance_of_rds_that_is_down_is_rebooted_once(broken_world):
    broken_world.aws("rds").create_db_instance(
        DBInstanceIdentifier="ai-processor-prod", Engine="postgres", DBInstanceClass="db.t3.micro",
        AllocatedStorage=20, MasterUsername="runbook", MasterUserPassword="not-a-secret",
    )  # fmt: skip
    name_the_instance(broken_world)
    order, before = f"{broken_world.addresses.aws}/_sandbox/postgres", len(broken_world.calls())
    broken_world.http.post(order, json={"environment": "prod", "action": "kill"}).raise_for_status()
    until(lambda: fails(broken_world, "prod"))

    assert (await start(broken_world, "prod")).code == 0
    gate = (await shown_with_checkpoint(broken_world))["checkpoint"]
    assert gate["plan"]["calls"][0]["action"] == "RebootDBInstance"
    approving = ("approve", "prod/ai-processor", "--as", "bob", "--yes")
    assert (await run(broken_world, "prod", *approving)).code == 0
    gate = (await shown_with_checkpoint(broken_world, unlike=gate["question"]))["checkpoint"]
    assert gate["options"] == ["verify-again", "hand-over"]  # what RDS is here does not start PostgreSQL

    broken_world.http.post(order, json={"environment": "prod", "action": "restart"}).raise_for_status()
    assert (await run(broken_world, "prod", *approving, "--option", "verify-again")).code == 0
    assert (await run(broken_world, "prod", "watch", "prod/ai-processor")).code == 0
    page = (await run(broken_world, "prod", "show", "prod/ai-processor", "--json")).json
    assert (page["outcome"], [change["action"] for change in page["changes"]]) == (
        "recovered",
        ["RebootDBInstance"],
    )
    assert len(broken_world.calls("RebootDBInstance", since=before)) == 1


def name_the_instance(world):
    """Add it to the catalog, which the worker reads again for each run."""
    catalog, of_prod = Path(world.addresses.env["RUNBOOK_CATALOG"]), 'dsn_env = "AI_PROCESSOR_DSN_PROD"'
    text = catalog.read_text()
    assert of_prod in text
    catalog.write_text(text.replace(of_prod, f'{of_prod}, rds_instance = "ai-processor-prod"'))


async def shown_with_checkpoint(world, unlike=None):
    def asked(page):
        return page["checkpoint"] and page["checkpoint"]["question"] != unlike

    give_up_at = time.monotonic() + PATIENCE
    while not asked(page := (await run(world, "prod", "show", "prod/ai-processor", "--json")).json):
        assert time.monotonic() < give_up_at, page
    return page


def test_an_order_that_makes_no_sense_is_refused(broken_world):
    order = f"{broken_world.addresses.aws}/_sandbox/postgres"
    assert broken_world.http.post(order, json={"environment": "mars", "action": "kill"}).status_code == 400
    assert broken_world.http.post(order, json={"environment": "prod", "action": "paint"}).status_code == 400
    assert set(broken_world.http.get(order).json()) == {"staging", "prod"}
