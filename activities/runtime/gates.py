"""Writes down what a gate shows, once: workflow code carries it and never makes it again."""

from __future__ import annotations

from datetime import UTC, datetime

from temporalio import activity

from runbook_model.authority.shown import GateRequest, Opened, show


class GateActivities:
    """Makes what gates show; run as a local activity, for it asks nobody outside."""

    @activity.defn
    async def show_gate(self, asked: GateRequest) -> Opened:
        """Record the question, with its hash."""
        return show(asked, datetime.now(UTC))
