"""The alert matrix: which alert is answered by which procedure, how severe it is, and how soon somebody must respond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal

from runbook_model.catalog.fields import ProcedureName
from runbook_model.catalog.policies import AlertRule

_MATRIX: tuple[tuple[str, Literal["critical", "warning"], int, ProcedureName], ...] = (
    ("ServiceDown", "critical", 0, "service-down"),
    ("DatabaseDown", "critical", 0, "database-issues"),
    ("HighErrorRate", "warning", 5, "high-error-rate"),
    ("DatabaseConnectionsHigh", "warning", 5, "database-issues"),
    ("HighLatencyP95", "warning", 10, "high-latency"),
    ("HighCPU", "warning", 15, "resource-issues"),
    ("HighMemory", "warning", 15, "resource-issues"),
)
RUNBOOK_MATRIX: tuple[AlertRule, ...] = tuple(
    AlertRule(name=name, severity=severity, respond_within=timedelta(minutes=minutes), procedure=procedure)
    for name, severity, minutes, procedure in _MATRIX
)
"""What counts where a catalog has no ``[[alerts]]``: the runbook's matrix, and its database page's alerts."""


def find_rule(matrix: Sequence[AlertRule], name: str, labels: Mapping[str, str]) -> AlertRule | None:
    """Return the first row that is about an alert: its name is the alert's, and the alert has all of its labels."""
    return next(
        (rule for rule in matrix if rule.name == name and rule.labels.items() <= labels.items()), None
    )
