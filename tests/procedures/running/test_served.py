"""A worker refuses work for an environment that it does not serve, whatever queue it came by."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.catalog.activities import CatalogActivities, IncidentPolicies
from activities.registry import activities_of
from activities.runtime.interceptors import TranslateErrors
from runbook_model.catalog.incident_policy import TargetNames
from runbook_model.messages import RollbackRequest
from runbook_model.names import ids
from runbook_model.reports import Outcome
from tests.patience import PATIENCE
from worker import WORKFLOWS, served_queues
from workflows.page.sandbox import sandbox_runner
from workflows.rollback import Rollback

CATALOG = """
[environments.prod]
cluster = "prod"
[services.shop.prod]
ecs_service = "shop"
"""


@pytest.fixture
def catalog(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text(CATALOG)
    return path


async def test_a_procedure_for_another_environment_is_refused_before_anything_is_read(temporal, catalog):
    staging = f"e{uuid.uuid4().hex[:12]}"
    served = served_queues([staging])
    with ThreadPoolExecutor(2) as threads:
        worker = Worker(
            temporal.client,
            task_queue=ids.task_queue(staging),
            workflows=WORKFLOWS,
            workflow_runner=sandbox_runner(),
            activities=activities_of(CatalogActivities(catalog, served), IncidentPolicies(catalog, served)),
            activity_executor=threads,
            interceptors=[TranslateErrors()],
        )
        async with worker:
            run = await temporal.client.start_workflow(
                Rollback.run,
                RollbackRequest(service="shop", environment="prod", requested_by="mallory"),
                id=f"remediation/prod/{staging}",
                task_queue=ids.task_queue(staging),
            )
            report = await asyncio.wait_for(run.result(), PATIENCE)
    assert report.outcome is Outcome.REFUSED
    assert report.error.kind == "policy"
    assert (
        f'refuses work for the environment "prod" from the queue runbooks-{staging}' in report.error.message
    )
    assert report.changes == ()


@pytest.mark.parametrize(
    ("service", "environment", "problem"),
    [(*ids.UNROUTED, "no service"), ("shop", "prod", 'refuses work for the environment "prod"')],
)
def test_alerts_that_belong_nowhere_are_not_refused_as_those_of_others_are(
    catalog, service, environment, problem
):
    asked = ActivityEnvironment()
    asked.info = dataclasses.replace(asked.info, task_queue=ids.task_queue(ids.UNROUTED[1]))
    policies = IncidentPolicies(catalog, served_queues(["prod", ids.UNROUTED[1]]))
    policy = asked.run(policies.incident_policy, TargetNames(service=service, environment=environment))
    assert policy.problem.startswith((problem, f"this worker {problem}"))
