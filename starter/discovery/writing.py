"""The catalog as text: next to each value where it was found; what was not found, or is to be decided, is commented out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import ValidationError

from runbook_model.catalog.fields import NAME
from runbook_model.catalog.policies import Environment
from runbook_model.catalog.service_policies import Placement
from runbook_model.discovered import (
    Discovered,
    FoundCluster,
    FoundPrometheus,
    FoundService,
    Line,
    Part,
    Unread,
    Value,
)
from runbook_model.text.plain_text import one_line
from runbook_model.text.redaction import excerpt
from runbook_model.text.sentences import count_of
from starter.discovery.names import Name, metrics_line, name_environments, name_services
from starter.exits import bad_input
from workflows.decisions.rollback.releases import cannot_roll_back

COMMENT = 300
"""Characters of a comment at most."""


class LeftOut(NamedTuple):
    """A service that stays in the file, commented out."""

    service: str
    cluster: str
    why: str


class Place(NamedTuple):
    """A service in its environment, with the names that it got."""

    cluster: FoundCluster
    environment: Name
    name: Name
    service: FoundService

    @property
    def names_on_ecs(self) -> tuple[str, ...]:
        """The names of its service and of its family."""
        state = self.service.state
        family = state.task_definition.rpartition("/")[2].rpartition(":")[0] if state else ""
        return (self.service.name, family) if family else (self.service.name,)

    @property
    def left_out(self) -> str | None:
        """Why the product cannot serve it; None where it can, or where that was not read."""
        state = self.service.state
        # That nothing runs at this moment is no reason.
        problem = (
            cannot_roll_back(state.model_copy(update={"desired": max(1, state.desired)})) if state else None
        )
        return problem.message if problem else None


class Written(NamedTuple):
    """The file, and what is in it."""

    text: str
    environments: int
    places: tuple[Place, ...]
    left_out: tuple[LeftOut, ...]


def write_catalog(found: Discovered, environment: str | None) -> Written:
    """Write the catalog of what was found.

    Args:
        found: what was read.
        environment: the name of the environment, where a person gave one.

    Raises:
        CliError: the name cannot be one, or is for several clusters.
    """
    if environment is not None and not re.fullmatch(NAME, environment):
        raise bad_input(
            f"--environment {environment} is no name of an environment",
            "use small letters, numbers and hyphens",
        )
    clusters = [cluster for cluster in found.clusters if not cluster.empty] or found.clusters
    environments = name_environments([cluster.name for cluster in clusters], environment)
    places = _places(clusters, environments)
    lines = [*_head(found)]
    for cluster in clusters:
        lines += _environment(found, cluster, environments[cluster.name])
    if empty := [cluster.name for cluster in found.clusters if cluster not in clusters]:
        lines += ["", *_whole(f"Clusters without services: {', '.join(empty)}.")]
    lines += ["", "[services]" + _comment("one table for each service, and in it one for each environment")]
    for name in sorted({place.name.name for place in places}):
        lines += _service(name, [place for place in places if place.name.name == name], found.prometheus)
    left_out = (
        LeftOut(place.service.name, place.cluster.name, why) for place in places if (why := place.left_out)
    )
    return Written("\n".join(lines) + "\n", len(clusters), places, tuple(left_out))


def _places(clusters: Iterable[FoundCluster], environments: dict[str, Name]) -> tuple[Place, ...]:
    places: list[Place] = []
    for cluster in clusters:
        where = environments[cluster.name]
        names = name_services([service.name for service in cluster.services], where.name)
        places += [Place(cluster, where, names[service.name], service) for service in cluster.services]
    return tuple(places)


def _head(found: Discovered) -> Iterator[str]:
    yield "# Written by `runbook catalog discover`. Next to each value stands where it was found."
    yield "# What was not found, or is for a person to decide, is commented out; nothing is invented."
    yield from _whole(f"Read in {found.region}, {found.caller}.")
    for unread in found.unread:
        yield from _whole(
            f"AWS denied it: allow {unread.action}, and run the command again."
            if unread.denied
            else f"Not answered: {unread.action}: {unread.why}."
        )
    yield ""
    yield "alerts = []" + _comment(
        "no alert starts a procedure by itself; to change that, write rows like this in its place:"
    )
    yield "# [[alerts]]"
    yield '# name = "HighErrorRate"'
    yield '# severity = "warning"'
    yield '# respond_within = "5m"'
    yield '# procedure = "high-error-rate"'


def _environment(found: Discovered, cluster: FoundCluster, name: Name) -> Iterator[str]:
    yield ""
    yield f"[environments.{name.name}]{_comment(name.why)}"
    lines = [
        Line(key="region", value=found.region, comment="the region of these AWS settings"),
        Line(key="cluster", value=cluster.name, comment=cluster.comment),
        *_prometheus(found),
        Line(
            key="approvals", value={"needed": 1}, comment='who may approve is not known: add people = ["…"]'
        ),
    ]
    yield from (written_line(line, Environment, cluster=cluster.name) for line in lines)


def _prometheus(account: Discovered) -> Iterator[Line]:
    found = account.prometheus
    if found is None:
        yield _proposed_prometheus(account.workspaces)
        return
    key = "prometheus" if found.signed else "prometheus_url"
    value: Value = {"url": found.url, "auth": "sigv4"} if found.signed else found.url
    if found.why_not is not None:
        yield Line(key=key, value=value, comment=f"not read: {found.why_not}", found=False)
        return
    names = (
        ", ".join(f"{item.metric} ({item.preset})" for item in found.conventions)
        or "none that a preset knows"
    )
    yield Line(key=key, value=value, comment=f"given by --prometheus; request counters: {names}")
    if found.release_label:
        comment = "label of requests that holds family:revision"
        yield Line(key="release_label", value=found.release_label, comment=comment)
    else:
        comment = "not found: no label of requests holds family:revision"
        yield Line(key="release_label", comment=comment, found=False)


def _proposed_prometheus(workspaces: tuple[str, ...] | Unread) -> Line:
    """Propose a workspace of the account; whether it has these services' metrics is not known."""
    if isinstance(workspaces, Unread) or not workspaces:
        why = workspaces.comment if isinstance(workspaces, Unread) else "not found: AWS has none here"
        return Line(key="prometheus_url", comment=f"{why}; --prometheus URL reads one", found=False)
    value: Value = {"url": workspaces[0], "auth": "sigv4"}
    others = f", and {len(workspaces) - 1} more" if len(workspaces) > 1 else ""
    comment = (
        f"Amazon Managed Prometheus has it{others}; --prometheus {workspaces[0]} looks for these services"
    )
    return Line(key="prometheus", value=value, comment=comment, found=False)


def _service(name: str, places: list[Place], prometheus: FoundPrometheus | None) -> Iterator[str]:
    served = any(place.left_out is None for place in places)
    several = f"{count_of(len(places), 'ECS service')}: {', '.join(place.service.name for place in places)}"
    header = [
        f"[services.{name}]{_comment(several)}",
        written_line(
            Line(key="repository", comment="not found: AWS does not know its git repository", found=False),
            None,
        ),
    ]
    yield ""
    yield from header if served else map(_commented, header)
    for place in places:
        yield from _placement(place, prometheus, alone=len(places) == 1)


def _placement(place: Place, prometheus: FoundPrometheus | None, *, alone: bool) -> Iterator[str]:
    service, why = place.service, place.left_out
    metrics = None
    if prometheus and prometheus.why_not is None:
        metrics = metrics_line(
            prometheus.conventions, place.name.name, place.environment.name, place.names_on_ecs, alone=alone
        )
    key = f"[services.{place.name.name}.{place.environment.name}]"
    lines = [
        f"{key}{_comment(place.name.why if why is None else f'cannot be served: {why}')}",
        written_line(Line(key="ecs_service", value=service.name, comment=service.comment), Placement),
        *(written_line(line, Placement) for line in service.lines),
        *([written_line(metrics, Placement)] if metrics else []),
    ]
    yield ""
    yield from lines if why is None else map(_commented, lines)


def written_line(line: Line, model: type[Environment | Placement] | None, **needed: str) -> str:
    """Write one key; what the catalog would not take is commented out too."""
    value = '"…"' if line.value is None else _toml(line.value)
    if not line.found:
        return f"# {line.key} = {value}{_comment(line.comment)}"
    problem = _problem(line, model, needed) if model else None
    if problem:
        return f"# {line.key} = {value}{_comment(f'{line.comment}; the catalog does not take it: {problem}')}"
    return f"{line.key} = {value}{_comment(line.comment)}"


def _problem(line: Line, model: type[Environment | Placement], needed: dict[str, str]) -> str | None:
    try:
        model.model_validate({**needed, line.key: line.value})
    except ValidationError as error:
        return error.errors()[0]["msg"]
    return None


def _toml(value: Value | Part) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, int):
        return str(value)
    return json.dumps(one_line(value or ""), ensure_ascii=False)  # a basic string of TOML is one of JSON


def _comment(text: str) -> str:
    return f"  # {excerpt(text, COMMENT)}"


def _whole(text: str) -> Iterator[str]:
    yield f"# {excerpt(text, COMMENT)}"


def _commented(line: str) -> str:
    return line if line.startswith("#") else f"# {line}"
