"""Ask the database of a compose service: in its container by its own tools, or over its DSN where the catalog has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.docker.postgres import PostgresContainer
from activities.postgres.activities import DatabaseActivities
from workflows.decisions.database import Diagnosis, classify
from workflows.decisions.local import classify_server

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.catalog.policies import Database
    from workflows.page.run import Run


async def diagnose_database(run: Run) -> Diagnosis:
    """Ask whether it takes connections and who holds them; the target has a database."""
    page, target = run.page, run.target
    policy = _policy(target)
    if policy.dsn_env:
        read = await page.read(
            "Read who holds its connections and who waits", DatabaseActivities.read_database, target
        )
        return classify(read, policy)
    words = "Ask in its container whether it is ready, and count its connections"
    return classify_server(await page.read(words, PostgresContainer.read_server, target), policy)


async def connects(run: Run) -> tuple[bool, str]:
    """Connect anew, and say what came of it."""
    page, target = run.page, run.target
    if _policy(target).dsn_env:
        connected = await page.read("Connect to the database", DatabaseActivities.test_connection, target)
        return connected.serves, connected.told
    answer = await page.read("Connect to the database", PostgresContainer.read_server, target)
    return answer.share is not None and answer.share < _policy(target).full, answer.told


def _policy(target: Target) -> Database:
    assert target.database is not None, "only asked for a target that has a database"
    return target.database
