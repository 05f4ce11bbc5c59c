"""Alerts as they come in: one of Alertmanager's, with names that can be trusted in ids and queries."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field

from runbook_model.fact import Fact


class Alert(Fact):
    """One alert, firing or resolved; what is long or strange in it was cut or refused before it came here."""

    fingerprint: str = Field(max_length=200)
    """Alertmanager's name of this alert: the same labels, the same fingerprint."""
    name: str = Field(max_length=200)
    status: Literal["firing", "resolved"]
    service: str
    environment: str
    severity: str = Field(default="unknown", max_length=200)
    """As the alert says it; the alert matrix has the last word."""
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    generator_url: str | None = None
    problem: str | None = None
    """Why it belongs to no target of the catalog, where it does not."""


class AlertBatch(Fact):
    """What one call of the webhook brings to one incident: the payload of the signal ``alerts``."""

    alerts: tuple[Alert, ...]
    received: AwareDatetime
