"""Brings a composition up on an engine and down again, as ``docker compose up --wait`` and ``down --volumes`` do."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker import DockerClient
    from docker.models.containers import Container

    from tests.integration.one_host.composition import Composition, Service
    from tests.integration.one_host.images import Image

LONGEST = timedelta(minutes=10)
"""It takes 45 s; a machine that others use as well may take long."""


class Project:
    """A composition on an engine."""

    def __init__(self, engine: DockerClient, composition: Composition) -> None:
        self.engine = engine
        self.composition = composition
        self._sees: dict[str, dict[str, str]] = {}

    def make_images(self, makers: dict[str, Callable[[], Image]]) -> None:
        """Make every image that the file names, under that very name."""
        for name in {service.image for service in self.composition.services.values()}:
            repository, _, tag = name.partition(":")
            image = makers[repository]()
            self.engine.api.import_image_from_data(
                image.as_tar(), repository=repository, tag=tag or "latest", changes=list(image.instructions)
            )
            self._sees[name] = image.sees

    def up(self) -> None:
        """Start each service once what it waits for is so, and wait until all that says how it is says healthy."""
        for name, internal in self.composition.networks.items():
            self.engine.networks.create(self.composition.network(name), driver="bridge", internal=internal)
        for volume in self.composition.volumes:
            self.engine.volumes.create(volume)
        started = time.monotonic()
        waiting = dict(self.composition.services)
        while waiting or not all(self.settled(name) for name in self.composition.services):
            ready = [item for item in waiting.values() if all(self.holds(wait) for wait in item.waits)]
            for service in ready:
                self._start(service)
                del waiting[service.name]
            if time.monotonic() - started > LONGEST.total_seconds():
                pytest.fail(f"after {LONGEST.seconds} s: {self.states()}\n{self.last_words()}")
            time.sleep(0.1)

    def holds(self, wait) -> bool:
        """Whether what a service waits for is so."""
        containers = self.containers(wait.service)
        if not containers:
            return False
        states = [container.attrs["State"] for container in containers]
        if wait.condition == "service_completed_successfully":
            return all(state["Status"] == "exited" and state["ExitCode"] == 0 for state in states)
        if wait.condition == "service_healthy":
            return all(state["Health"]["Status"] == "healthy" for state in states)
        raise ValueError(f"unknown condition: {wait.condition}")

    def settled(self, name: str) -> bool:
        """Whether a service is as it shall stay: healthy, running, or over."""
        containers = self.containers(name)
        states = [container.attrs["State"] for container in containers]
        return bool(states) and all(
            state.get("Health", {}).get("Status", "healthy") == "healthy"
            and (state["Running"] or state["ExitCode"] == 0)
            for state in states
        )

    def states(self) -> dict[str, str]:
        """How each container is, in the engine's own words."""
        found = {}
        for container in self.all_containers():
            state = container.attrs["State"]
            health = state.get("Health", {}).get("Status")
            found[container.name] = health or (
                "running" if state["Running"] else f"exited {state['ExitCode']}"
            )
        return found

    def last_words(self) -> str:
        """The ends of all logs."""
        return "\n".join(
            f"--- {container.name}\n{container.logs(tail=15).decode(errors='replace')}"
            for container in self.all_containers()
        )

    def all_containers(self) -> list[Container]:
        """The containers of all services, as they are now."""
        return [container for name in self.composition.services for container in self.containers(name)]

    def containers(self, service: str) -> list[Container]:
        """The containers of a service, as they are now."""
        labels = [
            f"com.docker.compose.project={self.composition.name}",
            f"com.docker.compose.service={service}",
        ]
        found = self.engine.containers.list(all=True, filters={"label": labels})
        return sorted(found, key=lambda item: item.name)

    def _start(self, service: Service) -> None:
        for number in range(1, service.replicas + 1):
            name = f"{self.composition.name}-{service.name}-{number}"
            host = service.configuration["HostConfig"]
            seen = [f"{ours}:{path}:ro" for path, ours in self._sees[service.image].items()]
            configuration = {
                **service.configuration,
                "HostConfig": {**host, "Binds": [*host["Binds"], *seen]},
            }
            made = self.engine.api.create_container_from_config(configuration, name)
            for network in service.more_networks:
                self.engine.networks.get(network).connect(made["Id"], aliases=[service.name])
            self.engine.api.start(made["Id"])

    def down(self) -> dict[str, int]:
        """Stop what depends on others first, and remove everything, volumes too; returns how each container ended."""
        ended = {}
        left = dict(self.composition.services)
        while left:
            needed = {wait.service for item in left.values() for wait in item.waits}
            last = [name for name in left if name not in needed]
            containers = [container for name in last for container in self.containers(name)]
            with ThreadPoolExecutor(len(containers) or 1) as threads:
                list(
                    threads.map(
                        lambda item: item.stop(timeout=item.attrs["Config"].get("StopTimeout")), containers
                    )
                )
            for container in containers:
                container.reload()
                ended[container.name] = container.attrs["State"]["ExitCode"]
                container.remove(v=True)
            for name in last:
                del left[name]
        for name in self.composition.networks:
            self.engine.networks.get(self.composition.network(name)).remove()
        for volume in self.composition.volumes:
            self.engine.volumes.get(volume).remove()
        return ended
