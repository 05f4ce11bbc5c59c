"""What a container is made from, and what is known of it afterwards."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeGuard

from sandbox.machine.tasks import Program
from sandbox.names import LOCAL

Stream = Literal["stdout", "stderr"]

Status = Literal["created", "running", "restarting", "exited"]

POLICIES = ("no", "always", "unless-stopped", "on-failure")

USUALLY = "unless-stopped"

NEVER = "0001-01-01T00:00:00Z"
"""How the engine writes the time of what has not happened."""


@dataclass(frozen=True)
class ContainerSpec:
    """What ``docker compose up`` makes a container from."""

    service: str
    number: int
    image: str
    program: Program
    address: str
    """``127.0.0.1:port`` where it listens: the same for every container that takes this one's place."""
    needs: str = ""
    """The services that it depends on, as compose labels it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    policy: str = USUALLY
    """Whether the engine starts it again when it ends; ``on-failure:3`` up to three times."""
    memory: int = 512
    """MiB."""
    cores: float = 0.25

    @property
    def name(self) -> str:
        """Its name, as compose gives it."""
        return f"{LOCAL.project}-{self.service}-{self.number}"

    @property
    def labels(self) -> dict[str, str]:
        """Its labels, as compose gives them."""
        return {
            "com.docker.compose.project": LOCAL.project,
            "com.docker.compose.service": self.service,
            "com.docker.compose.container-number": str(self.number),
            "com.docker.compose.depends_on": self.needs,
            "com.docker.compose.oneoff": "False",
        }


@dataclass(frozen=True)
class Line:
    """One line that a container wrote."""

    at: int
    """Nanoseconds since 1970."""
    stream: Stream
    text: bytes


@dataclass
class State:
    """How a container fares."""

    status: Status = "created"
    pid: int = 0
    exit_code: int = 0
    out_of_memory: bool = False
    started: int | None = None
    """Nanoseconds since 1970."""
    finished: int | None = None
    restarts: int = 0
    by_hand: bool = False
    """Whether somebody stopped it: its policy then starts it no more."""


def starts_again(policy: str, state: State) -> bool:
    """Say whether the engine itself starts a container again that has just ended."""
    name, _, most = policy.partition(":")
    if state.by_hand or name == "no":
        return False
    if name == "on-failure":
        return state.exit_code != 0 and (not most or state.restarts < int(most))
    return True


def known_policy(policy: object) -> TypeGuard[str]:
    """Say whether that is a restart policy."""
    if not isinstance(policy, str):
        return False
    name, colon, most = policy.partition(":")
    return name in POLICIES and (not colon or (name == "on-failure" and most.isdecimal()))


def moment(nanoseconds: int | None) -> str:
    """Write a moment as the engine does."""
    if nanoseconds is None:
        return NEVER
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"
