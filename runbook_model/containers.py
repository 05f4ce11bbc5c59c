"""Containers of a compose project, as the Docker engine reports them. Facts only; causes are decided elsewhere."""

from __future__ import annotations

from datetime import datetime, timedelta

from runbook_model import calls
from runbook_model.authority.order import ChangeOrder
from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.plans import PlannedCall
from runbook_model.text.durations import format_duration

STOPPED_BY_SIGNAL = frozenset({0, 130, 137, 143})
"""Exit codes of a container that was asked to stop, or that was done."""
MIB = 1024**2
LOOP = 2
"""So many restarts by the engine are a loop, which does not come up by itself; one may be chance."""
STOP_GRACE = timedelta(seconds=10)
"""How long a container may take to stop before the engine kills it; Docker's own default."""
ENGINE_TIMEOUT = STOP_GRACE + timedelta(seconds=8)
"""The engine answers a restart when it is done, so its client waits longer than that may take."""


class ContainerFence(Fact):
    """One container as it was when a plan was made."""

    id: str
    started: datetime | None
    """None of one that was never started."""
    restarts: int = 0
    """How often the engine itself had started it again."""


class Container(Fact):
    """One container of a service."""

    id: str
    name: str
    service: str
    image: str
    """As it was named when the container was made."""
    digest: str = ""
    """The image's own id, ``sha256:…``."""
    state: str
    """``created``, ``running``, ``paused``, ``restarting``, ``exited`` or ``dead``."""
    health: str = ""
    """``starting``, ``healthy`` or ``unhealthy``; empty without a health check."""
    exit_code: int = 0
    out_of_memory: bool = False
    restarts: int = 0
    started: datetime | None = None
    finished: datetime | None = None
    needs: tuple[str, ...] = ()
    """Services that compose starts before this one; empty where it does not say."""

    @property
    def serves(self) -> bool:
        """Whether it runs, and is not known to be sick."""
        return self.state == "running" and self.health in {"", "healthy"}

    @property
    def ended(self) -> bool:
        """Whether it ended, by itself or because it was asked to."""
        return self.state in {"exited", "dead"}

    @property
    def was_stopped(self) -> bool:
        """Whether it looks as if somebody stopped it: a signal ended it, and not for its memory."""
        return self.ended and self.exit_code in STOPPED_BY_SIGNAL and not self.out_of_memory

    @property
    def failed(self) -> bool:
        """Whether it ended by itself, is started again and again, or fails its health check."""
        crashed = self.ended and not self.was_stopped
        return crashed or self.state == "restarting" or self.health == "unhealthy" or self.out_of_memory

    @property
    def fence(self) -> ContainerFence:
        """What must still hold when a change planned on this state is made."""
        return ContainerFence(id=self.id, started=self.started, restarts=self.restarts)

    @property
    def summary(self) -> str:
        """A few words for people."""
        words = [f"{self.state} with exit code {self.exit_code}" if self.ended else self.state]
        if self.out_of_memory:
            words.append("killed for its memory")
        if self.health:
            words.append(self.health)
        if self.restarts:
            words.append(f"restarted {self.restarts} times by the engine")
        return f"{self.name} {', '.join(words)}"


class ProjectRead(Fact):
    """The containers of a compose project."""

    project: str
    service: str
    """The one that is asked about."""
    containers: tuple[Container, ...]
    at: datetime

    @property
    def own(self) -> tuple[Container, ...]:
        """The containers of the service itself."""
        return self.of(self.service)

    @property
    def services(self) -> tuple[str, ...]:
        """Every service of the project that has a container."""
        return tuple(sorted({container.service for container in self.containers}))

    @property
    def dependencies(self) -> tuple[str, ...]:
        """What the service needs: as compose says, else every other service of the project."""
        said = {name for item in self.own for name in item.needs}
        return tuple(name for name in self.services if name != self.service and (not said or name in said))

    def of(self, service: str) -> tuple[Container, ...]:
        """Return the containers of a service."""
        return tuple(container for container in self.containers if container.service == service)

    @property
    def summary(self) -> str:
        """One line for people."""
        return (
            "; ".join(container.summary for container in self.containers) or "the project has no containers"
        )


class Use(Fact):
    """What one container uses of the machine at one moment."""

    name: str
    cores: float | None = None
    """CPU in cores; None when it could not be measured."""
    cores_limit: float
    memory: float
    """Bytes, without what the kernel would give back at once."""
    memory_limit: float

    @property
    def cpu_share(self) -> float | None:
        """CPU as a share of the limit."""
        return None if self.cores is None else self.cores / self.cores_limit

    @property
    def memory_share(self) -> float | None:
        """Memory as a share of the limit."""
        return self.memory / self.memory_limit if self.memory_limit > 0 else None

    @property
    def summary(self) -> str:
        """A few words for people."""
        cpu = (
            "CPU not known"
            if self.cpu_share is None
            else f"CPU {100 * self.cpu_share:.0f} % of {self.cores_limit:g} cores"
        )
        share = "" if self.memory_share is None else f" ({100 * self.memory_share:.0f} %)"
        return (
            f"{self.name} {cpu}, memory {self.memory / MIB:.0f} of {self.memory_limit / MIB:.0f} MiB{share}"
        )


class StatisticsRead(Fact):
    """What the containers of a service use."""

    uses: tuple[Use, ...]
    why: str = ""
    """Why nothing is known, where nothing is."""
    at: datetime

    @property
    def summary(self) -> str:
        """One line for people."""
        return "; ".join(use.summary for use in self.uses) or f"statistics are not known: {self.why}"


class RestartService(ChangeOrder):
    """Restart the containers of one service, each once."""

    service: str
    fence: tuple[ContainerFence, ...]
    names: tuple[str, ...] = ()
    """Names of the containers, as the plan shows them."""

    @property
    def call(self) -> PlannedCall:
        """The restart."""
        return calls.restart(self.target.compose_project, self.service, self.names)


class Restarted(Fact):
    """Containers that were restarted."""

    containers: tuple[Container, ...]
    adopted: tuple[str, ...] = ()
    """Names of those that an earlier attempt had restarted."""
    at: datetime

    @property
    def summary(self) -> str:
        """One line for people."""
        by = f"; an earlier attempt had restarted {', '.join(self.adopted)}" if self.adopted else ""
        return f"restarted {', '.join(container.name for container in self.containers)}{by}"


class AwaitedService(Fact):
    """A service whose containers shall run, after a restart."""

    target: Target
    service: str
    containers: tuple[ContainerFence, ...]
    """As they were just after the restart."""
    deadline: datetime


class Settled(Fact):
    """What became of a service that was restarted."""

    ok: bool
    detail: str
    at: datetime

    @property
    def summary(self) -> str:
        """One line for people."""
        return self.detail


class ServerAnswer(Fact):
    """What the database server in a container says of itself."""

    accepts: bool | None
    """Whether it accepts connections; None when that is not known."""
    used: int | None = None
    """Connections in use, ours not counted."""
    limit: int | None = None
    """Connections that services may have: ``max_connections`` less those held back."""
    full: bool = False
    """It refused us because no connection is left."""
    starting: bool = False
    """It takes no connections yet, because it starts, recovers or stops."""
    why: str = ""
    took: timedelta = timedelta(0)
    at: datetime

    @property
    def share(self) -> float | None:
        """Share of the connections that is used."""
        return self.used / self.limit if self.used is not None and self.limit else None

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.full:
            return f"no connection is left: {self.why}"
        if self.accepts is None:
            return f"whether it accepts connections is unknown: {self.why}"
        if not self.accepts:
            return f"it accepts no connections: {self.why}"
        if self.used is None:
            return f"it accepts connections; how many are used is not known: {self.why}"
        return f"it accepts connections ({format_duration(self.took)}); {self.used} of {self.limit} are used"
