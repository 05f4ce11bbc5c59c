"""The clients of everything that measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from activities.aws.clients import AwsClients
    from activities.docker.engine import Engine


@dataclass(frozen=True)
class Sources:
    """Where measurements come from; each worker has one."""

    aws: AwsClients
    engine: Engine
    http: httpx.AsyncClient
