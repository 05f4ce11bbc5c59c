"""What the containers of a service wrote lately, bounded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from activities.aws.clients import Clients
    from runbook_model.containers import Container, ProjectRead

LINES = 5000
"""The newest lines of a container that are read."""
BYTES = 4 * 1024 * 1024


def read_lines(
    clients: Clients, project: ProjectRead, since: datetime, until: datetime
) -> tuple[list[tuple[int, str]], bool]:
    """Read time in milliseconds and text of what the service's containers wrote, and whether that is all; blocks.

    Raises:
        OutsideError: the engine cannot be read.
    """
    found: list[tuple[int, str]] = []
    complete = True
    with clients.engine(f"read the logs of {project.service}") as engine:
        for container in project.own:
            lines, all_of_them = _lines_of(engine, container, since, until)
            found += lines
            complete = complete and all_of_them
    return sorted(found), complete


def _lines_of(
    engine: DockerClient, container: Container, since: datetime, until: datetime
) -> tuple[list[tuple[int, str]], bool]:
    written = engine.containers.get(container.id).logs(
        stream=True,
        follow=False,
        timestamps=True,
        tail=LINES,
        since=since.timestamp(),
        until=until.timestamp(),
    )
    raw = b""
    for piece in written:
        raw += piece
        if len(raw) > BYTES:
            break
    lines = list(_dated(raw.decode(errors="replace")))
    return lines, len(raw) <= BYTES and len(lines) < LINES


def _dated(text: str) -> Iterator[tuple[int, str]]:
    """Split the engine's time from each line; a line without one belongs to none and is left out."""
    for line in text.splitlines():
        moment, _, words = line.partition(" ")
        try:
            at = datetime.fromisoformat(moment)
        except ValueError:
            continue
        yield round(at.astimezone(UTC).timestamp() * 1000), words
