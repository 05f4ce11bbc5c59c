"""A change trusts nothing but names: what it is sent for a target is not believed, and only the target's own run may ask."""

from __future__ import annotations

import dataclasses

import pytest
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.doctor.activities import DoctorActivities
from activities.runtime.change_guard import GuardChanges
from activities.runtime.interceptors import EnvironmentGuard
from runbook_model.catalog.catalog import load_catalog
from runbook_model.catalog.policies import Channel
from runbook_model.catalog.service_policies import Probe
from runbook_model.catalog.target import Target
from runbook_model.checks import Place
from runbook_model.errors import CatalogError, PolicyError, UnknownTargetError
from runbook_model.fact import Fact
from runbook_model.names.ids import task_queue

CATALOG = """
[environments.prod]
cluster = "prod"
[environments.staging]
cluster = "staging"
[services.shop.prod]
ecs_service = "shop"
[services.shop.staging]
ecs_service = "shop"
"""
LOCK = "remediation/prod/shop"


class Deploy(Fact):
    target: Target
    to: int = 1


class Sends(ActivityInboundInterceptor):
    """A change that only says what it was given."""

    def __init__(self):
        pass

    async def execute_activity(self, input):  # noqa: A002 - the SDK's name
        return input.args[0]


class Worker:
    """A worker of both environments, asked for one change by a run."""

    def __init__(self, folder):
        self.catalog = folder / "catalog.toml"
        self.catalog.write_text(CATALOG)
        self.queues = EnvironmentGuard({task_queue(name): name for name in ("prod", "staging")})
        self.guard = GuardChanges(self.queues, self.catalog, {"deploy", "purge_cache"})

    def target(self, environment="prod", **changes):
        return load_catalog(self.catalog).target("shop", environment).model_copy(update=changes)

    async def asked(self, given, *, by=LOCK, of="deploy", queue="prod", attempt=1):
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            environment.info, workflow_id=by, activity_type=of, task_queue=task_queue(queue), attempt=attempt
        )
        call = ExecuteActivityInput(fn=print, args=(given,), executor=None, headers={})
        return await environment.run(self.guard.intercept_activity(Sends()).execute_activity, call)


@pytest.fixture
def worker(tmp_path):
    return Worker(tmp_path)


@pytest.mark.parametrize("by", [LOCK, f"{LOCK}/rollback", f"{LOCK}/service-down/rollback"])
async def test_the_run_that_holds_the_lock_and_its_children_may_change_the_target(worker, by):
    given = Deploy(target=worker.target())
    assert await worker.asked(given, by=by) == given


@pytest.mark.parametrize(
    "by",
    [
        None,
        "mallory",
        "plan/prod/shop/rollback/x",
        "incident/prod/shop",
        "remediation/prod/shopping",
        "remediation/prod/other",
        "remediation/staging/shop",
        "hold/prod/shop",
        "ledger/prod/shop/x",
    ],
)
async def test_every_other_caller_is_refused(worker, by):
    with pytest.raises(
        PolicyError, match="may not change prod/shop: deploy is for the run that holds"
    ) as raised:
        await worker.asked(Deploy(target=worker.target()), by=by)
    assert raised.value.certainly_not_made


@pytest.mark.parametrize(
    ("of", "by"), [("restore_capacity", "hold/prod/shop"), ("mark_release", "ledger/prod/shop/x")]
)
async def test_a_hold_may_only_take_capacity_back_and_the_ledger_only_mark(worker, of, by):
    assert await worker.asked(Deploy(target=worker.target()), by=by, of=of)
    with pytest.raises(PolicyError):
        await worker.asked(Deploy(target=worker.target("staging")), by=by, of=of, queue="staging")


async def test_the_queue_of_another_environment_is_refused(worker):
    with pytest.raises(
        PolicyError, match='refuses work for the environment "prod" from the queue runbooks-stag'
    ):
        await worker.asked(Deploy(target=worker.target()), queue="staging")


async def test_policies_and_thresholds_come_from_the_workers_catalog_whatever_is_sent(worker):
    own = worker.target()
    loose = own.scale.model_copy(update={"max": 1000})
    given = Deploy(
        target=worker.target(scale=loose, approvals=own.approvals.model_copy(update={"needed": 0}))
    )
    assert (await worker.asked(given)).target == own


@pytest.mark.parametrize("field", ["cluster", "ecs_service", "region"])
async def test_what_was_planned_for_another_place_is_refused(worker, field):
    with pytest.raises(PolicyError, match=f"this is for another {field} of prod/shop"):
        await worker.asked(Deploy(target=worker.target(**{field: "elsewhere"})))


async def test_a_look_goes_where_the_workers_catalog_says_whatever_is_sent(worker):
    own = worker.target()
    strict = own.thresholds.model_copy(update={"error_rate": 0.01})
    probe = Probe(path="/admin/wipe", body="{}")
    sent = worker.target(url="http://169.254.169.254", probe=probe, thresholds=strict)
    looks = own.model_copy(update={"thresholds": strict})
    assert await worker.asked(sent, by="mallory", of="read_service") == looks
    assert (await worker.asked(Deploy(target=sent), by="mallory", of="measure")).target == looks
    with pytest.raises(PolicyError, match="this is for another cluster of prod/shop"):
        await worker.asked(worker.target(cluster="theirs"), of="read_service")


async def test_doctor_looks_at_the_place_of_its_own_catalog_whatever_is_sent(worker):
    seen = []

    class Look:
        async def at_place(self, place, _):
            seen.append(place)
            return ()

    own = load_catalog(worker.catalog).environments["prod"]
    theirs = Channel(name="theirs", kind="slack", channel="#a", secret_env="TEMPORAL_API_KEY")
    place = Place(environment="prod", where=own.model_copy(update={"cluster": "theirs"}), channels=(theirs,))
    doctor = DoctorActivities(worker.catalog, Look(), worker.queues)
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, task_queue=task_queue("prod"))
    await environment.run(doctor.examine_place, place)
    assert seen == [Place(environment="prod", where=own)]


async def test_a_target_that_left_the_catalog_is_refused(worker):
    given = Deploy(target=worker.target())
    worker.catalog.write_text(CATALOG.replace('[services.shop.prod]\necs_service = "shop"', ""))
    with pytest.raises(UnknownTargetError):
        await worker.asked(given)


async def test_while_the_catalog_cannot_be_read_a_change_waits(worker):
    given = Deploy(target=worker.target())
    worker.catalog.write_text("[environments")
    with pytest.raises(CatalogError) as raised:
        await worker.asked(given, attempt=2)
    assert (raised.value.retryable, raised.value.certainly_not_made) == (True, False)


async def test_a_change_of_a_package_that_names_no_target_is_of_the_lock_its_run_holds(worker):
    assert await worker.asked("all", of="purge_cache") == "all"
    with pytest.raises(PolicyError, match='refuses work for the environment "prod"'):
        await worker.asked("all", of="purge_cache", queue="staging")
    with pytest.raises(PolicyError, match="an activity without a run may not change anything"):
        await worker.asked("all", of="purge_cache", by=None)


async def test_what_changes_nothing_is_not_asked_who_it_is(worker):
    assert await worker.asked(Deploy(target=worker.target()), of="read_service", by="mallory")
