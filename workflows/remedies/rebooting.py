"""Words for an RDS instance that is rebooted: plan it on what RDS says, send it once, wait until it is available."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.rds.activities import AwaitedInstance, RdsActivities, Reboot
    from runbook_model.database import AVAILABLE
    from runbook_model.reports import Ending, Outcome
    from workflows.decisions.database_remedies import NoReboot, RebootPlan, plan_reboot

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from workflows.page.page import Page


async def look_at_instance(page: Page, target: Target, because: tuple[str, ...]) -> RebootPlan | NoReboot:
    """Read what RDS says of the instance, and plan its reboot if it allows one."""
    instance = await page.read("Read what RDS says of the instance", RdsActivities.read_instance, target)
    return plan_reboot(target, instance, because)


async def reboot(page: Page, target: Target, plan: RebootPlan) -> None:
    """Reboot the instance, once; after an unknown reply a reboot that is to be seen is taken for ours."""
    instance = plan.instance
    await page.change(
        f"Reboot {instance.name}",
        RdsActivities.reboot_instance,
        Reboot(target=target, was=instance),
        action="RebootDBInstance",
        before=instance.told,
        after=f"{instance.name} rebooted",
        undo=_cannot_be_taken_back,
    )


async def await_available(page: Page, target: Target, name: str) -> Ending | None:
    """Wait until the instance is available; an ending where it does not get there in time."""
    awaited = AwaitedInstance(target=target, deadline=workflow.now() + target.rollback.steady)
    words = f"Wait until {name} is available"
    instance = await page.watch(words, RdsActivities.await_instance, awaited)
    if instance.status == AVAILABLE:
        return None
    return page.ended(
        Outcome.NOT_RECOVERED, f"{instance.told}, not available in time. A person must look now."
    )


async def _cannot_be_taken_back() -> str:
    return "kept: a reboot cannot be taken back"
