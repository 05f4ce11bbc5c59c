"""What the sandbox is asked to have."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.monitoring.alertmanager import Webhook


@dataclass(frozen=True)
class Wishes:
    """What the world is to have besides its essentials."""

    load: bool = True
    prometheus: bool = True
    scraped: bool = False
    """Start only once Prometheus has seen every environment: it scrapes for the first time 5 s after its own start."""
    webhook: Webhook | None = None
    """Who gets the alerts of an Alertmanager; without one nobody is warned."""
    codec: str | None = None
    """Where Temporal's UI has payloads decrypted."""
    signers: tuple[str, ...] = ()
    """Who signs decisions in prod; nobody where none are signed."""
    strategies: bool = False
    """Also a service whose deployments shift traffic."""
