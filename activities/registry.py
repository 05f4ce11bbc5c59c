"""Every activity of a worker, built from its settings and its clients: the product's, and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from temporalio.client import Client
from temporalio.common import MetricMeter

from activities.authority.warrants import Standing, Warrants
from activities.autoscaling.activities import ScalingActivities
from activities.aws.clients import AwsClients
from activities.catalog.activities import CatalogActivities, IncidentPolicies, ProcedureActivities
from activities.chat.activities import ChatActivities
from activities.chat.channels import Channels
from activities.chat.slack import SlackClients
from activities.chat.wording import Templates
from activities.docker.activities import ComposeActivities, ComposeChanges
from activities.docker.engine import Engine
from activities.docker.postgres import PostgresContainer
from activities.doctor.activities import DoctorActivities, DrillActivities
from activities.doctor.checkup import Checkup, look_at_procedures
from activities.ecs.activities import EcsActivities
from activities.ecs.changes import EcsChanges
from activities.ecs.configuring import EcsConfiguration
from activities.ecs.pausing import EcsPauses
from activities.ecs.task_sizes import TaskSizes
from activities.ecs.waits import Waits
from activities.git.activities import GitActivities
from activities.measuring.activities import VerificationActivities
from activities.measuring.diagnosis import DiagnosisActivities
from activities.measuring.examining import Examination
from activities.measuring.instruments import Instruments, connections_instrument
from activities.measuring.sources import Sources
from activities.postgres.activities import DatabaseActivities
from activities.postgres.connections import Databases
from activities.rds.activities import RdsActivities
from activities.review.activities import ReviewActivities, shelf_at
from activities.runtime.change_guard import TAKES_BACK, GuardChanges
from activities.runtime.decisions import DecisionActivities, GateActivities
from activities.temporal.brakes import BrakeActivities
from activities.temporal.holds import HoldActivities, ScaleOutHistory
from activities.temporal.locks import LockActivities
from activities.temporal.predecessor import CHANGES, ChangeHistory, RunHistory
from activities.temporal.remediations import RemediationActivities
from activities.terraform.activities import TerraformActivities
from activities.terraform.state import PlanStore
from runbook_model.catalog.policies import AlertRule
from runbook_model.names.procedures import KnownProcedures

if TYPE_CHECKING:
    import httpx

    from activities.runtime.interceptors import EnvironmentGuard
    from activities.runtime.settings import Settings


FENCED = frozenset({*CHANGES, TAKES_BACK})
"""The product's changes that ask before they send."""


@dataclass(frozen=True)
class Clients:
    """What activities are made with; each class of a package's activities gets it: ``Class(clients)``."""

    temporal: Client
    settings: Settings
    http: httpx.AsyncClient
    meter: MetricMeter
    aws: AwsClients
    engine: Engine
    """The container engine of compose stacks."""


@dataclass(frozen=True)
class OfPackages:
    """What the product's own activities know of installed packages."""

    known: KnownProcedures
    changes: Mapping[str, str]
    """Activity that changes something -> the call that it makes."""
    alerts: tuple[AlertRule, ...]
    """Rows of the alert matrix."""


class ActivityRegistry:
    """The activities of a worker, grouped by the queue that serves them."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        http: httpx.AsyncClient,
        meter: MetricMeter,
        served: EnvironmentGuard,
        packages: OfPackages,
    ) -> None:
        clients, engine = AwsClients(meter), Engine()
        scale_outs, changes = ScaleOutHistory(client), {*CHANGES, *packages.changes}
        standing = Standing(settings.standing)
        warrants = Warrants(settings.signers, standing, ChangeHistory(client, changes))
        self.guard = GuardChanges(
            served,
            settings.catalog,
            changes,
            fenced=FENCED,
            fill_in={TAKES_BACK: scale_outs.fill_in},
            authorize=warrants.authorize,
        )
        """Stands before every activity, those of packages too."""
        self._clients = Clients(client, settings, http, meter, clients, engine)
        sources = Sources(clients, engine, http)
        database = DatabaseActivities(Databases())
        postgres, compose = PostgresContainer(engine), ComposeActivities(engine)
        connections = connections_instrument(database.connections, postgres.connections)
        instruments = Instruments(sources, others={"connections": connections})
        verification = VerificationActivities(instruments)
        terraform = TerraformActivities(
            clients, PlanStore(settings.plan_store), timedelta(seconds=settings.lock_seconds)
        )
        channels = Channels(settings.catalog, SlackClients(settings.slack_api), http)
        chat = ChatActivities(channels, Templates(settings.templates))
        rds = RdsActivities(clients)
        procedures = partial(look_at_procedures, settings.catalog, packages.known)
        checkup = Checkup(
            sources, channels, settings.reviews, procedures, settings.signers, settings.standing
        )
        doctor = DoctorActivities(settings.catalog, checkup, served, packages.known)
        self.short = activities_of(
            CatalogActivities(settings.catalog, served),
            EcsActivities(clients),
            EcsChanges(clients),
            EcsConfiguration(clients),
            EcsPauses(clients),
            ScalingActivities(clients),
            TaskSizes(clients),
            rds,
            HoldActivities(client),
            scale_outs,
            GitActivities(),
            GateActivities(),
            DecisionActivities(settings.catalog, settings.signers, settings.standing),
            RunHistory(client, packages.changes),
            LockActivities(client),
            RemediationActivities(client),
            BrakeActivities(client),
            IncidentPolicies(settings.catalog, served, packages.alerts),
            ProcedureActivities(packages.known),
            chat,
            ReviewActivities(client, shelf_at(settings.reviews, clients)),
            verification,
            database,
            DiagnosisActivities(Examination(sources)),
            compose,
            ComposeChanges(engine),
            postgres,
            terraform,
            doctor,
            DrillActivities(client),
        )
        # Messages are also served here: a chat that does not answer then takes no slot from a change.
        waits = activities_of(Waits(clients, meter), compose, verification, terraform, chat, rds, doctor)
        self.long = [wait for wait in waits if iscoroutinefunction(wait)]  # they hold no threads

    def add(self, kinds: Sequence[type | Callable[..., object]], changes: Collection[str]) -> None:
        """Serve activities of a package: by the same queues, between the same interceptors.

        Args:
            kinds: classes that are made with ``Clients``, and functions.
            changes: which of their activities change something; those have no place among long waits.

        Raises:
            ValueError: one is called as another one is already.
        """
        made = [each(self._clients) if isinstance(each, type) else each for each in kinds]
        methods = [item for each in made for item in ([each] if _name(each) else activities_of(each))]
        taken = {_name(item) for item in (*self.short, *self.long)}
        if twins := sorted(name for method in methods if (name := _name(method)) in taken):
            raise ValueError(f"there is another activity called {', '.join(twins)}")
        self.short += methods
        self.long += [
            method for method in methods if iscoroutinefunction(method) and _name(method) not in changes
        ]


def _name(activity: object) -> str:
    """Return an activity's name; nothing where it is none."""
    definition = getattr(activity, "__temporal_activity_definition", None)
    return str(definition.name) if definition else ""


def activities_of(*parts: object) -> list[Callable[..., object]]:
    """List the activities that objects offer: their methods that are defined as such."""
    methods = (getattr(part, name) for part in parts for name in dir(type(part)) if not name.startswith("_"))
    return [method for method in methods if hasattr(method, "__temporal_activity_definition")]
