"""Whether an RDS instance that takes no connections may be rebooted. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.rds import AVAILABLE, Instance
from runbook_model.reports import Message, Plan, PlannedCall

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target

PASSING = frozenset(
    {
        "backing-up", "configuring-enhanced-monitoring", "configuring-log-exports", "maintenance", "modifying",
        "rebooting", "renaming", "resetting-master-credentials", "starting", "upgrading",
    }
)  # fmt: skip
"""States that end by themselves, and in which RDS refuses a reboot."""


class RebootPlan(Plan):
    """Which instance is rebooted, as it was seen."""

    instance: Instance


class NoReboot(Message):
    """Why it is not rebooted."""

    why: str
    passes: bool = False
    """Whether it is only to be waited for."""


def plan_reboot(target: Target, instance: Instance, because: tuple[str, ...]) -> RebootPlan | NoReboot:
    """Plan the reboot of an instance that says it is available, and yet takes no connections."""
    if instance.status in PASSING:
        return NoReboot(why=f"{instance.name} is {instance.status}", passes=True)
    if instance.status != AVAILABLE:
        return NoReboot(why=f"{instance.name} is {instance.status}, which a reboot does not mend")
    failover = (" It has a standby, to which this reboot does not fail over.",) if instance.multi_az else ()
    restarted = f"{instance.restarted.isoformat()}" if instance.restarted else "never"
    return RebootPlan(
        headline=f"Reboot {instance.name}, the database of {target.service} in {target.environment}",
        calls=(
            PlannedCall(
                service="rds", action="RebootDBInstance", parameters={"DBInstanceIdentifier": instance.name}
            ),
        ),
        because=(*because, instance.told),
        not_restored=(
            "Every connection to it ends, also those of other services; what they had begun is rolled back.",
            "It takes no connections until it is up again, usually for a minute or two.",
            *(text.strip() for text in failover),
        ),
        essence=f"{instance.status} {restarted}",
        instance=instance,
    )
