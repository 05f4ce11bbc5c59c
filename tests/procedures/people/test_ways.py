"""Every cause that a diagnosis may name leads to its own way: what would be done is planned, and nothing is done."""

from __future__ import annotations

import pytest

from runbook_model.reports import Outcome
from tests.observing import NOW, seconds
from tests.procedures.stage.sick import Sick
from tests.symptoms import (
    MIB,
    a_service,
    a_stopped_task,
    an_onset,
    errors_read,
    latency_read,
    load_read,
    logs_read,
    resources_read,
    tasks_read,
)

OLD_RELEASE = an_onset(began=NOW - seconds(86_400))
CRASHES = (a_stopped_task(200), a_stopped_task(100), a_stopped_task(10))
UNHEALTHY = {"stop_code": "ServiceSchedulerInitiated", "reason": "Task failed container health checks"}
LEAKING = [(60.0 * n, (100 + 5 * n) * MIB) for n in range(40)]
NAMES_DATABASE = logs_read(40, 40, database=40)
FAILS = errors_read(0.3, 0.3, 0.3)
SLOW = latency_read(2.0, 2.0, 2.0)
SURGE = load_read(rate=300.0, usual=25.0)

WAYS = {
    "tasks fail since the release": (
        "service-down", "bad-release", {"tasks": tasks_read(*CRASHES)}, "Put shop in"),
    "an old release crashes": (
        "service-down", "crash-loop", {"tasks": tasks_read(*CRASHES, onset=OLD_RELEASE)}, "Restart shop"),
    "an old release fails its health checks": (
        "service-down", "unhealthy-targets",
        {"tasks": tasks_read(a_stopped_task(30, **UNHEALTHY), onset=OLD_RELEASE)}, "Restart shop"),
    "a deployment lasts for hours": (
        "service-down", "deployment-stuck",
        {"tasks": tasks_read(onset=OLD_RELEASE, service=a_service(1, rollout="IN_PROGRESS", age=7200))}, "Put shop in"),
    "there is no room": (
        "service-down", "capacity",
        {"tasks": tasks_read(onset=OLD_RELEASE, service=a_service(1, events=("unable to place a task: no room",)))},
        "A person would be asked: Give cluster prod room"),
    "an old release crashes, and names a dependency": (
        "service-down", "dependency", {"tasks": tasks_read(*CRASHES, onset=OLD_RELEASE), "logs": logs_read(20, 20)},
        "A person would be asked: Restore what shop depends on"),
    "errors started with the release": (
        "high-error-rate", "bad-release", {"errors": errors_read(0.0, 0.4, 0.4)}, "Put shop in"),
    "errors come with many requests": (
        "high-error-rate", "load", {"errors": FAILS, "load": SURGE}, "Scale shop in prod out from 2 to 5"),
    "errors name a dependency": (
        "high-error-rate", "dependency", {"errors": FAILS, "logs": logs_read(40, 40)},
        "A person would be asked: Restore what shop depends on"),
    "answers are slow under load": (
        "high-latency", "load", {"latency": SLOW, "load": SURGE}, "Scale shop in prod out from 2 to 4"),
    "answers are slow, and CPU is short": (
        "high-latency", "resources", {"latency": SLOW, "resources": resources_read(cpu=0.95)},
        "Scale shop in prod out from 2 to 4"),
    "answers are slow, and errors name the database": (
        "high-latency", "database", {"latency": SLOW, "logs": NAMES_DATABASE},
        "A person would be asked: Restore what shop depends on"),
    "CPU is short": (
        "resource-issues", "cpu", {"resources": resources_read(cpu=0.95)}, "Scale shop in prod out from 2 to 5"),
    "memory is short": (
        "resource-issues", "memory", {"resources": resources_read(memory=0.95)}, "Scale shop in prod out from 2 to 5"),
    "many requests take the CPU": (
        "resource-issues", "load", {"resources": resources_read(cpu=0.95), "load": SURGE},
        "Scale shop in prod out from 2 to 5"),
    "memory grows all the time": (
        "resource-issues", "leak", {"resources": resources_read(series=LEAKING)}, "Scale shop in prod out from 2 to 5"),
}  # fmt: skip


@pytest.fixture
def outside() -> Sick:
    return Sick()


@pytest.mark.parametrize(("procedure", "cause", "symptoms", "way"), WAYS.values(), ids=WAYS.keys())
async def test_a_cause_leads_to_its_way(pages, outside, procedure, cause, symptoms, way):
    for name, value in symptoms.items():
        setattr(outside, name, value)
    report = await pages.run(procedure, plan_only=True)
    assert report.outcome is Outcome.PLANNED
    assert report.findings[0].startswith(f"{cause}: "), report.findings
    assert report.summary.startswith(way), report.summary
    assert outside.changes == []
