"""The workflow behind ``runbook doctor``: whatever happens to a look, there is an answer."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Worker

from activities.doctor.activities import DoctorActivities
from activities.ecs.activities import Releases
from activities.runtime.converter import data_converter
from activities.runtime.interceptors import TranslateErrors
from runbook_model.catalog.target import Target
from runbook_model.checks import Check, DoctorRequest, TargetChecks
from runbook_model.errors import AccessDeniedError
from runbook_model.names import ids
from tests.ecs_facts import HOUR, a_history, a_release
from tests.patience import PATIENCE
from worker import served_queues
from workflows.doctor import AT_ONCE, Doctor
from workflows.page.sandbox import sandbox_runner

CATALOG = """
[environments.{environment}]
cluster = "prod"
"""
SERVICE = """
[services.{name}.{environment}]
ecs_service = "{name}"
"""


class Eyes:
    """Looks at nothing and says what the test says."""

    def __init__(self) -> None:
        self.history = a_history((a_release(1), HOUR), (a_release(2), HOUR))
        self.revisions = Releases(releases=())
        self.denied = False
        self.blind: set[str] = set()
        self.red: set[str] = set()

    async def at_place(self, place, _):
        if "place" in self.blind:
            raise RuntimeError("the worker is broken")
        return tuple(
            Check(environment=place.environment, name=name, ok=name not in self.red, detail="seen")
            for name in ("aws-identity", "cluster")
        )

    async def at_target(self, target):
        if target.service in self.blind:
            raise RuntimeError("the worker is broken")
        check = Check(
            environment=target.environment,
            service=target.service,
            name="tasks",
            ok="tasks" not in self.red,
            detail="seen",
        )
        return TargetChecks(checks=(check,), service=self.history.service, history=self.history)

    @activity.defn
    async def list_revisions(self, _: Target) -> Releases:
        if self.denied:
            raise AccessDeniedError(
                "could not list", fix="allow ecs:ListTaskDefinitions for the worker's role"
            )
        return self.revisions


class Surgery:
    """A worker with a catalog of its own."""

    def __init__(self, client, folder) -> None:
        self.client = client
        self.environment = f"e{uuid.uuid4().hex[:12]}"
        self.catalog = folder / "catalog.toml"
        self.eyes = Eyes()
        self.run = None
        self.has("shop")

    def has(self, *names) -> None:
        services = (SERVICE.format(name=name, environment=self.environment) for name in names)
        self.catalog.write_text(CATALOG.format(environment=self.environment) + "".join(services))

    async def look(self, **asked):
        request = DoctorRequest(**{"environment": self.environment, **asked})
        async with self._working():
            self.run = await self.client.start_workflow(
                Doctor.run,
                request,
                id=ids.doctor_id(self.environment, uuid.uuid4().hex[:8]),
                task_queue=ids.task_queue(self.environment),
            )
            return (await asyncio.wait_for(self.run.result(), PATIENCE)).checks

    @asynccontextmanager
    async def _working(self):
        doctor = DoctorActivities(self.catalog, self.eyes, served_queues([self.environment]))
        short = Worker(
            self.client,
            task_queue=ids.task_queue(self.environment),
            workflows=[Doctor],
            workflow_runner=sandbox_runner(),
            activities=[doctor.find_targets, self.eyes.list_revisions],
            interceptors=[TranslateErrors()],
        )
        long = Worker(
            self.client,
            task_queue=ids.watch_queue(self.environment),
            activities=[doctor.examine_place, doctor.examine_target],
            interceptors=[TranslateErrors()],
        )
        async with short, long:
            yield


@pytest.fixture
def surgery(temporal, tmp_path):
    assert temporal.client.data_converter is data_converter
    return Surgery(temporal.client, tmp_path)


def most_at_once(history):
    """How many activities were under way together at most."""
    under_way = most = 0
    for event in history.events:
        under_way += event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        under_way -= event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
        most = max(most, under_way)
    return most


def text(checks):
    return {(check.service, check.name): check.ok for check in checks}


async def test_the_catalog_the_place_and_each_service_are_reported(surgery):
    surgery.has("shop", "till")
    assert text(await surgery.look()) == {
        (None, "worker-catalog"): True,
        (None, "aws-identity"): True,
        (None, "cluster"): True,
        **{
            (service, name): True
            for service in ("shop", "till")
            for name in ("controller", "last-known-good", "tasks")
        },
    }


async def test_one_service_is_looked_at_alone_when_asked(surgery):
    surgery.has("shop", "till")
    assert {service for service, _ in text(await surgery.look(service="till"))} == {None, "till"}


async def test_a_service_that_the_workers_catalog_does_not_have_is_red(surgery):
    (only,) = await surgery.look(service="moon")
    assert (only.name, only.ok) == ("worker-catalog", False)
    assert 'no service "moon"' in only.detail


async def test_an_environment_that_the_workers_catalog_does_not_have_is_red(surgery):
    moon = (CATALOG + SERVICE).format(environment="moon", name="shop")
    surgery.catalog.write_text(moon)
    (only,) = await surgery.look()
    assert (only.name, only.ok) == ("worker-catalog", False)
    assert only.detail == f'no environment "{surgery.environment}" in the catalog'
    assert only.fix == "there are: moon"


async def test_a_catalog_that_is_wrong_is_red_and_says_where(surgery):
    surgery.catalog.write_text("environments = 3")
    (only,) = await surgery.look()
    assert (only.name, only.ok) == ("worker-catalog", False)
    assert "environments" in only.detail
    assert "runbook catalog check" in only.fix


async def test_a_look_that_fails_hides_no_other(surgery):
    surgery.has("shop", "till")
    surgery.eyes.blind = {"place", "shop"}
    checks = await surgery.look()
    assert text(checks) == {
        (None, "worker-catalog"): True,
        (None, "examination"): False,
        ("shop", "examination"): False,
        ("till", "controller"): True,
        ("till", "last-known-good"): True,
        ("till", "tasks"): True,
    }
    assert all("the worker is broken" in check.detail for check in checks if check.ok is False)


async def test_what_cannot_pass_because_of_another_is_unknown(surgery):
    surgery.eyes.red = {"cluster", "tasks"}
    found = text(await surgery.look())
    assert (found[None, "cluster"], found["shop", "tasks"]) == (False, None)


async def test_other_revisions_are_read_where_the_history_does_not_settle_it(surgery):
    surgery.eyes.history = a_history((a_release(2), HOUR))
    surgery.eyes.revisions = Releases(releases=(a_release(1), a_release(2)))
    good = next(item for item in await surgery.look() if item.name == "last-known-good")
    assert good.ok is True
    assert "shop:1" in good.detail


async def test_revisions_that_may_not_be_read_are_reported(surgery):
    surgery.eyes.history = a_history((a_release(2), HOUR))
    surgery.eyes.denied = True
    good = next(item for item in await surgery.look() if item.name == "last-known-good")
    assert good.ok is False
    assert "could not list" in good.detail


async def test_services_are_looked_at_a_few_at_a_time(surgery):
    surgery.has(*(f"shop-{number}" for number in range(2 * AT_ONCE + 1)))
    checks = await surgery.look()
    # One of them is the look at what all share.
    assert most_at_once(await surgery.run.fetch_history()) == AT_ONCE + 1
    assert len({check.service for check in checks} - {None}) == 2 * AT_ONCE + 1
