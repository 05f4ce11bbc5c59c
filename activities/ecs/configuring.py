"""Amazon ECS: the deployment configuration of a service, read, and put back after a faster deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporalio import activity

from activities.ecs.tasks import describe_raw
from activities.runtime.fence import fenced, sending
from runbook_model import calls
from runbook_model.authority.order import ChangeOrder
from runbook_model.catalog.target import Target
from runbook_model.errors import DriftedError
from runbook_model.fact import Fact
from runbook_model.plans import PlannedCall
from runbook_model.releases.configuring import QuickSettings, fingerprint, read_settings

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients


class PutSettingsBack(ChangeOrder):
    """Give a service's deployment configuration the waits that it had."""

    settings: QuickSettings

    @property
    def call(self) -> PlannedCall:
        """The update, which starts no deployment."""
        return calls.put_settings_back(self.target, self.settings)


class PutBack(Fact):
    """What came of putting a configuration back."""

    changed: bool
    """Whether the run changed it; not where it had never been another."""
    detail: str

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        return self.detail


class EcsConfiguration:
    """Reads and puts back deployment configurations."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    @activity.defn
    def read_quick_settings(self, target: Target) -> QuickSettings:
        """Read the waits of the service's deployments."""
        return read_settings(describe_configuration(self._clients, target))

    @activity.defn
    def put_settings_back(self, change: PutSettingsBack) -> PutBack:
        """Put the waits back, where the rest is as it was and nobody changed them; asked again it is done already."""
        target, settings = change.target, change.settings
        with fenced():
            now = describe_configuration(self._clients, target)
            found = fingerprint(now)
            if found == settings.was:
                return PutBack(changed=activity.info().attempt > 1, detail="as it was before")
            if found != settings.quick:
                raise DriftedError(
                    "somebody else changed the service's deployment configuration; theirs stays",
                    fix=f"check whether it should have {settings.words(quick=False)}",
                )
            with (
                sending(),
                self._clients.naming_errors(f"put the configuration of {target.ecs_service} back"),
            ):
                self._clients.ecs(target.account).update_service(
                    cluster=target.cluster,
                    service=target.ecs_service,
                    deploymentConfiguration=settings.put_back(now),  # type: ignore[arg-type] # as ECS described it
                )
            return PutBack(changed=True, detail=settings.words(quick=False))


def quick_configuration(clients: AwsClients, target: Target, settings: QuickSettings) -> dict[str, Any]:
    """Return the service's deployment configuration without waits, as long as it is as the plan saw it.

    Raises:
        DriftedError: it is not.
    """
    now = describe_configuration(clients, target)
    if fingerprint(now) not in {settings.was, settings.quick}:
        raise DriftedError("somebody else changed the service's deployment configuration; theirs stays")
    return settings.without_waits(now)


def describe_configuration(clients: AwsClients, target: Target) -> dict[str, Any]:
    """Read the deployment configuration of a service, whole."""
    return dict(describe_raw(clients, target).get("deploymentConfiguration", {}))
