"""Every activity of a worker, built from its settings and its clients."""

from __future__ import annotations

from datetime import timedelta
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from activities.brakes import BrakeActivities
from activities.channels.opening import Channels
from activities.chat import ChatActivities
from activities.checkup.checkup import Checkup
from activities.clients import Clients, SlackClients
from activities.compose import ComposeActivities
from activities.compose_changes import ComposeChanges
from activities.database import DatabaseActivities
from activities.diagnosis import DiagnosisActivities
from activities.doctor import DoctorActivities
from activities.drills import DrillActivities
from activities.ecs import EcsActivities
from activities.ecs_changes import EcsChanges
from activities.examining import Examination
from activities.git import GitActivities
from activities.holds import HoldActivities
from activities.incident_policy import IncidentPolicies
from activities.measuring import Instruments
from activities.plan_store import PlanStore
from activities.postgres_container import PostgresContainer, connections_instrument
from activities.predecessor import RunHistory
from activities.rds import RdsActivities
from activities.remediations import RemediationActivities
from activities.review.shelves import shelf_at
from activities.reviewing import ReviewActivities
from activities.scaling import ScalingActivities
from activities.targets import CatalogActivities
from activities.task_sizes import TaskSizes
from activities.terraform import TerraformActivities
from activities.verification import VerificationActivities
from activities.waits import Waits
from activities.wording import Templates

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from temporalio.client import Client
    from temporalio.common import MetricMeter

    from activities.served import Served
    from activities.settings import Settings


class Parts:
    """The activities of a worker, grouped by the queue that serves them."""

    def __init__(
        self, client: Client, settings: Settings, http: httpx.AsyncClient, meter: MetricMeter, served: Served
    ) -> None:
        clients = Clients(meter)
        database = DatabaseActivities(clients)
        postgres, compose = PostgresContainer(clients), ComposeActivities(clients)
        connections = connections_instrument(database.connections, postgres.connections)
        instruments = Instruments(clients, http, others={"connections": connections})
        verification = VerificationActivities(instruments)
        terraform = TerraformActivities(
            clients, PlanStore(settings.plan_store), timedelta(seconds=settings.lock_seconds)
        )
        channels = Channels(settings.catalog, SlackClients(settings.slack_api), http)
        chat = ChatActivities(channels, Templates(settings.templates))
        rds = RdsActivities(clients)
        doctor = DoctorActivities(
            settings.catalog, Checkup(clients, http, channels, settings.reviews), served
        )
        self.short = activities_of(
            CatalogActivities(settings.catalog, served),
            EcsActivities(clients),
            EcsChanges(clients),
            ScalingActivities(clients),
            TaskSizes(clients),
            rds,
            HoldActivities(client),
            GitActivities(),
            RunHistory(client),
            RemediationActivities(client),
            BrakeActivities(client),
            IncidentPolicies(settings.catalog, served),
            chat,
            ReviewActivities(client, shelf_at(settings.reviews, clients)),
            verification,
            database,
            DiagnosisActivities(Examination(clients, http)),
            compose,
            ComposeChanges(clients),
            postgres,
            terraform,
            doctor,
            DrillActivities(client),
        )
        # Messages are also served here: a chat that does not answer then takes no slot from a change.
        waits = activities_of(Waits(clients, meter), compose, verification, terraform, chat, rds, doctor)
        self.long = [one for one in waits if iscoroutinefunction(one)]  # they hold no threads


def activities_of(*parts: object) -> list[Callable[..., object]]:
    """List the activities that objects offer: their methods that are defined as such."""
    methods = (getattr(part, name) for part in parts for name in dir(type(part)) if not name.startswith("_"))
    return [method for method in methods if hasattr(method, "__temporal_activity_definition")]
