"""The catalog: which services and environments exist, with their thresholds and policies, read from its file.

Unknown keys are errors. A target, that is a service in an environment, is what procedures work on; it goes into history
as it was resolved, so that a run shows what it relied on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from runbook_model.catalog.accounts import ecs_name, problem_of_arn
from runbook_model.catalog.fields import EVIDENCE, Name, Policy, ProcedureName
from runbook_model.catalog.metrics import Metrics
from runbook_model.catalog.policies import (
    RUNBOOK_MATRIX,
    AlertRule,
    Channel,
    Contact,
    Environment,
    Incidents,
    PersonOfCatalog,
)
from runbook_model.catalog.problems import NO_ENVIRONMENT, describe, strays, twins, users_in_addresses
from runbook_model.catalog.service_policies import Placement, Service
from runbook_model.catalog.target import TRACES, Target, problem_of_traces
from runbook_model.errors import CatalogError, UnknownTargetError
from runbook_model.text.redaction import redact
from runbook_model.text.sentences import did_you_mean

LOG = "log"
"""The channel that is always there: the worker's log."""


class Catalog(Policy):
    """The whole file."""

    environments: dict[Name, Environment]
    services: dict[Name, Service]
    procedures: tuple[ProcedureName, ...] = Field(
        default=(),
        description="Procedures that packages bring to the workers, so that this file may name them, "
        "and the command line start them, where no such package is installed.",
    )
    alerts: tuple[AlertRule, ...] = Field(
        default=RUNBOOK_MATRIX,
        description="The alert matrix; without any the runbook's counts, and the rows of installed packages.",
    )
    contacts: tuple[Contact, ...] = Field(default=(), description="Who is called, in this order.")
    channels: tuple[Channel, ...] = Field(
        default=(), description="Without any, messages go to the worker's log."
    )
    incidents: Incidents = Incidents()
    people: dict[str, PersonOfCatalog] = Field(
        default_factory=dict, description="What is known of the people whom approvals name, by their names."
    )
    links: dict[str, str] = Field(
        default_factory=dict,
        description="Addresses by name, shown in messages, pages and reviews; "
        '`traces = "https://tempo.example/trace/{trace_id}"` is where one trace is seen.',
    )

    @model_validator(mode="after")
    def _names_fit(self) -> Catalog:
        problems = [
            f"services.{name}.{environment}: {problem}"
            for name, service in self.services.items()
            for environment, placement in service.environments.items()
            for problem in self._problems(name, environment, placement)
        ]
        problems += [
            f"environments.{name}.approvals: {problem}"
            for name, environment in self.environments.items()
            for problem in environment.approvals.problems()
        ]
        problems += twins(self.environments, self.services)
        problems += self._channel_problems()
        if problem := problem_of_traces(self.links):
            problems.append(f'links.{TRACES} = "{redact(self.links[TRACES])}": {problem}')
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _problems(self, service: str, environment: str, placement: Placement) -> Iterator[str]:
        where = self.environments.get(environment)
        if where is None:
            yield NO_ENVIRONMENT.format(environment)
        elif where.platform == "ecs" and not placement.ecs_service:
            yield 'runs on ECS but names no service: add ecs_service = "…"'
        elif where.platform == "ecs":
            yield from _only_for_compose(placement)
            arn, cluster = placement.ecs_service, ecs_name(where.cluster).name
            if problem := problem_of_arn("ecs_service", "service", arn, where.region, cluster):
                yield problem
        else:
            yield from _only_for_ecs(where, placement)
        if where and (placement.evidence or where.evidence):
            yield from _no_evidence(self.target(service, environment))
        if placement.rollback.strategy == "terraform" and placement.terraform is None:
            yield "rollback by Terraform needs terraform = { directory = … }"
        pool = placement.database.pool if placement.database else None
        if pool and pool.terraform_variable and placement.terraform is None:
            yield "database.pool.terraform_variable needs terraform = { directory = … }"
        if pool and pool.terraform_variable is None and placement.terraform:
            yield "Terraform owns the service and would take the pool back: add database.pool.terraform_variable"

    def _channel_problems(self) -> Iterator[str]:
        names = [channel.name for channel in self.channels]
        for number, channel in enumerate(self.channels):
            if channel.name in names[:number]:
                yield f'channels.{number}.name = "{channel.name}": another channel has this name; choose one'
            for unknown in sorted({*channel.environments} - {*self.environments}):
                yield f"channels.{number}.environments: no [environments.{unknown}]: add it, or correct the name"
        for number, contact in enumerate(self.contacts if names else ()):
            if contact.channel not in {*names, LOG}:
                yield f'contacts.{number}.channel = "{contact.channel}": no such channel; there are: {", ".join(names)}'

    def channel(self, name: str) -> Channel | None:
        """Return a channel; ``log`` is always there."""
        log = Channel(name=LOG, kind="log")
        return next((channel for channel in (*self.channels, log) if channel.name == name), None)

    def channels_of(self, environment: str) -> tuple[str, ...]:
        """Name the channels where an environment's incidents are announced: those that it has, else the log."""
        names = [
            channel.name
            for channel in self.channels
            if not channel.environments or environment in channel.environments
        ]
        return tuple(names) or (LOG,)

    def target(self, service: str, environment: str) -> Target:
        """Resolve names to a target.

        Raises:
            UnknownTargetError: the names are not in the catalog; the message lists those that are.
        """
        known = self.services.get(service)
        if known is None:
            raise UnknownTargetError(
                f'no service "{service}" in the catalog{did_you_mean(service, self.services)}',
                fix=f"there are: {_names(self.services)}",
            )
        if environment not in self.environments or environment not in known.environments:
            raise UnknownTargetError(
                f'service "{service}" has no environment "{environment}"'
                f"{did_you_mean(environment, known.environments)}",
                fix=f"it has: {_names(known.environments)}",
            )
        where, placement = self.environments[environment], known.environments[environment]
        metrics = _overlaid(where.metrics, placement.metrics)
        return Target(
            service=service,
            environment=environment,
            platform=where.platform,
            region=where.region,
            cluster=ecs_name(where.cluster).name,
            ecs_service=ecs_name(placement.ecs_service).name,
            container=placement.container,
            compose_project=where.compose.project if where.compose else "",
            compose_service=placement.compose_service or service if where.platform == "compose" else "",
            prometheus_url=where.store.url if where.store else None,
            prometheus=where.prometheus,
            release_label=metrics.release_label or where.release_label,
            approvals=where.approvals,
            repository=known.repository,
            ssh_key_file=known.ssh_key_file,
            links=self.links,
            channels=self.channels_of(environment),
            assume_role=where.assume_role,
            evidence=placement.evidence or where.evidence or EVIDENCE,
            metrics=metrics,
            **{
                field: getattr(placement, field)
                for field in (
                    "url",
                    "health_path",
                    "metrics_path",
                    "log_group",
                    "error_pattern",
                    "queue",
                    "thresholds",
                    "verify",
                    "rollback",
                    "terraform",
                    "probe",
                    "scale",
                    "database",
                )
            },
        )


def _overlaid(environments: Metrics, services: Metrics) -> Metrics:
    """Return the environment's table with each key that the service sets."""
    return environments.model_copy(update={key: getattr(services, key) for key in services.model_fields_set})


def _only_for_compose(placement: Placement) -> Iterator[str]:
    if placement.compose_service:
        yield "compose_service is for compose environments: remove it"
    if placement.database and placement.database.compose_service:
        yield "database.compose_service is for compose environments: remove it"
    if placement.database and placement.database.dsn_env is None:
        yield 'database has no DSN: add dsn_env = "…"'


def _only_for_ecs(where: Environment, placement: Placement) -> Iterator[str]:
    given = {
        "container": placement.container,
        "queue": placement.queue,
        "log_group": placement.log_group,
        "metrics.release_label": placement.metrics.release_label or where.metrics.release_label,
    }
    yield from (f"{key} is for ECS: remove it" for key, value in given.items() if value)


def _no_evidence(target: Target) -> Iterator[str]:
    """Say what is missing where the catalog names sources of evidence and not one of them is there."""
    if any(target.has(source) for source in target.evidence):
        return
    needed = {
        "prometheus": "prometheus_url in its environment",
        "scrape": "url",
        "probe": "url and probe",
    }
    missing = ", or ".join(needed.get(source, 'platform = "ecs"') for source in target.evidence)
    yield f"nothing that evidence names is there: add {missing}, or take evidence out"


def _names(names: dict[str, Any]) -> str:
    return ", ".join(sorted(names)) or "none"


def parse_catalog(text: str, source: str) -> Catalog:
    """Read a catalog from TOML.

    Raises:
        CatalogError: with every problem found, each a line of file, key, value and fix.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{source}: not TOML: {error}") from None
    except RecursionError:
        raise CatalogError(
            f"{source}: is nested too deeply for a catalog; remove brackets or braces"
        ) from None
    with_users = list(users_in_addresses(found, source))
    try:
        catalog = Catalog.model_validate(found, extra="forbid")
    except ValidationError as error:
        keys = tuple(line.partition(" = ")[0] + " = " for line in with_users)
        others = (line for line in describe(error, source, _keys()) if not (keys and line.startswith(keys)))
        problems = [*with_users, *others]
        # While a part is wrong, the parts are not compared with each other.
        problems += [line for line in strays(found, source) if line not in problems]
        raise CatalogError(*problems) from None
    if with_users:
        raise CatalogError(*with_users)
    return catalog


def load_catalog(path: Path) -> Catalog:
    """Read the catalog file.

    Raises:
        CatalogError: it cannot be read, or is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors write a mark first
    except OSError as error:
        fix = f"name another file, or write one: `runbook catalog discover -o {path}` reads an AWS account for it"
        raise CatalogError(f"{path}: cannot read the catalog: {error.strerror}", fix=fix) from None
    except UnicodeDecodeError as error:
        raise CatalogError(
            f"{path}: not TOML: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None
    return _parsed(text, str(path))


@lru_cache(maxsize=4)
def _parsed(text: str, source: str) -> Catalog:
    """Read a text once: workers ask for the catalog before each activity."""
    return parse_catalog(text, source)


def _keys() -> set[str]:
    """Return every key that a catalog may have somewhere."""
    models: list[type[BaseModel]] = [Target, *Policy.__subclasses__()]
    return {name for model in models for name in model.model_fields}
