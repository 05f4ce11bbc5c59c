"""A procedure that the worker does not have is refused with the reason, and holds no lock."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from activities.catalog.activities import ProcedureActivities
from runbook_model.names.procedures import KnownProcedures
from runbook_model.reports import Outcome
from tests.procedures.stage import sick
from tests.procedures.stage.sick import Sick
from workflows.any_procedure import AnyProcedure


@dataclass
class Knowing(Sick):
    """A worker whose package of a procedure is broken, and that has another one's."""

    known: KnownProcedures = field(
        default_factory=lambda: KnownProcedures(
            own={"stuck-deployment": "stuck 1.0"}, broken={"purge-cache": "cache 2.0: cannot be imported: no"}
        )
    )

    @property
    def activities(self) -> list[object]:
        return [*super().activities, ProcedureActivities(self.known).explain_unknown]


@pytest.fixture
def outside(monkeypatch) -> Knowing:
    monkeypatch.setattr(sick, "WORKFLOWS", [AnyProcedure])
    return Knowing()


@pytest.mark.parametrize(
    ("procedure", "says", "fix"),
    [
        (
            "stuck-deploymnt",
            "no procedure stuck-deploymnt (did you mean stuck-deployment?)",
            "database-issues, ",
        ),
        (
            "purge-cache",
            "cannot be used on this worker: cache 2.0: cannot be imported: no",
            "a working version",
        ),
    ],
)
@pytest.mark.parametrize("plan_only", [True, False])
async def test_it_is_refused_with_the_reason_and_the_fix(pages, outside, procedure, says, fix, plan_only):
    report = await pages.run(procedure, plan_only=plan_only)
    assert (report.procedure, report.outcome, report.error.kind) == (procedure, Outcome.REFUSED, "input")
    assert says in report.error.message
    assert report.summary.startswith("Refused: ")
    assert fix in report.error.fix
    assert outside.changes == []
