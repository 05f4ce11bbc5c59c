"""High latency that comes from the database: looked into, repaired by a child, and verified by latency itself."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from runbook_model.measured.readings import STANDARD_LOOKS
from runbook_model.reports import Outcome
from tests.procedures.stage.outside_database import OutsideDatabase
from tests.procedures.stage.sick import Sick
from tests.symptoms import latency_read


@dataclass
class SickDatabase(Sick, OutsideDatabase):
    """A service with symptoms, and its database."""

    @property
    def activities(self) -> list[object]:
        return list(dict.fromkeys(super().activities))


@pytest.fixture
def outside() -> SickDatabase:
    return SickDatabase(latency=latency_read(2.0, 2.0, 2.0))


@pytest.mark.ending("recovered-slow-database")
async def test_once_the_database_is_repaired_it_is_latency_that_is_verified(pages, outside):
    report = await pages.run("high-latency")
    assert report.outcome is Outcome.RECOVERED
    assert "database leak" in report.findings[0]
    assert [change.action for change in report.changes] == ["pg_terminate_backend"]
    assert [observation.looks for observation in outside.observations] == [
        (*STANDARD_LOOKS, "connections"),
        (*STANDARD_LOOKS, "latency"),
    ]


@pytest.mark.ending("planned-by-child")
async def test_a_plan_for_the_database_ends_nothing(pages, outside):
    report = await pages.run("high-latency", plan_only=True)
    assert report.outcome is Outcome.PLANNED
    assert report.plan.calls[0].action == "pg_terminate_backend"
    assert outside.changes == []


async def test_code_is_not_to_blame_while_the_database_cannot_be_looked_into(pages, outside):
    outside.latency, outside.standing = latency_read(0.1, 2.0, 2.0), "silent"
    run = await pages.start("high-latency")
    seen = await pages.asked(run)
    assert seen.findings[0].startswith("unknown: p95 2.00s")
    assert "it does not answer" in seen.findings[0]
    assert (await pages.answer(run, option="skip")).changes == ()


@pytest.mark.ending("inconclusive-code-path")
async def test_a_database_that_is_well_leaves_it_to_the_code(pages, outside):
    outside.latency, outside.forgotten = latency_read(0.1, 2.0, 2.0), []
    report = await pages.run("high-latency")
    assert report.outcome is Outcome.INCONCLUSIVE
    assert report.findings[0].startswith("code-path")
