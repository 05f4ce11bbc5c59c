"""The Docker engine's answers about a compose project as facts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runbook_model.containers import Container, ProjectRead
from runbook_model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient

    from activities.aws.clients import Clients
    from runbook_model.catalog.catalog import Target

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"
"""``True`` on what ``docker compose run`` left behind: no part of the service."""
DEPENDS_ON = "com.docker.compose.depends_on"
NEVER = "0001-01-01"
"""How the engine writes the time of what has not happened."""


def read_project(clients: Clients, target: Target, *, service: str | None = None) -> ProjectRead:
    """Read every container of the target's compose project; blocks.

    Args:
        clients: where the engine's client comes from.
        target: whose project it is.
        service: one that has to be there; the target's own unless told.

    Raises:
        InputError: no such project, or no such service in it; the message lists those that are there.
        OutsideError: the engine cannot be read.
    """
    wanted = service or target.compose_service
    with clients.engine(f"read the containers of {target.compose_project or target.key}") as engine:
        if not target.compose_project:
            raise InputError(_unnamed(target, engine))
        found = engine.containers.list(
            all=True, filters={"label": f"{PROJECT}={target.compose_project}"}, ignore_removed=True
        )
        containers = tuple(
            read_container(one.attrs) for one in found if _labels(one.attrs).get(ONE_OFF) != "True"
        )
        if not containers:
            raise InputError(
                f'the Docker engine has no containers of a compose project "{target.compose_project}"; there are: '
                f"{_projects(engine)}: mend compose.project in the catalog, or start it with docker compose up -d"
            )
    project = ProjectRead(
        project=target.compose_project,
        service=wanted,
        containers=tuple(sorted(containers, key=lambda one: (one.service, one.name))),
        at=datetime.now(UTC),
    )
    if not project.own:
        raise InputError(
            f'compose project "{target.compose_project}" has no container of a service "{wanted}"; there are: '
            f"{', '.join(project.services)}: mend compose_service in the catalog, or create it with "
            f"docker compose up -d {wanted}"
        )
    return project


def read_container(attrs: Mapping[str, Any]) -> Container:
    """Read what the engine tells of one container."""
    state, labels = attrs["State"], _labels(attrs)
    return Container(
        id=attrs["Id"],
        name=attrs["Name"].removeprefix("/"),
        service=labels.get(SERVICE, ""),
        image=attrs["Config"].get("Image", ""),
        digest=_digest(attrs.get("Image", "")),
        state=state["Status"],
        health=_health(state),
        exit_code=state.get("ExitCode", 0),
        out_of_memory=state.get("OOMKilled", False),
        restarts=attrs.get("RestartCount", 0),
        started=_moment(state.get("StartedAt", "")),
        finished=_moment(state.get("FinishedAt", "")),
        needs=tuple(
            part.partition(":")[0] for part in labels.get(DEPENDS_ON, "").split(",") if part.partition(":")[0]
        ),
    )


def _health(state: Mapping[str, Any]) -> str:
    said: str = (state.get("Health") or {}).get("Status") or ""
    return "" if said == "none" else said


def _labels(attrs: Mapping[str, Any]) -> dict[str, str]:
    return attrs["Config"].get("Labels") or {}


def _digest(image: str) -> str:
    return image if not image or ":" in image else f"sha256:{image}"


def _moment(text: str) -> datetime | None:
    return None if not text or text.startswith(NEVER) else datetime.fromisoformat(text).astimezone(UTC)


def _unnamed(target: Target, engine: DockerClient) -> str:
    return (
        f"the catalog names no compose project of {target.environment}; the Docker engine has: {_projects(engine)}: "
        f'add compose = {{ project = "…" }} to [environments.{target.environment}]'
    )


def _projects(engine: DockerClient) -> str:
    rows = engine.api.containers(all=True, filters={"label": PROJECT})
    return ", ".join(sorted({row["Labels"][PROJECT] for row in rows})) or "none"
