"""What a run counts of itself: outcomes, time under each heading, time that people were waited for, readings.

The SDK's meter leaves replays out, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from temporalio import workflow

from activities.telemetry import metric_names
from runbook_model.measured.readings import Reading
from runbook_model.reports import Ending, Outcome, Report, Verdict


class Figures:
    """The figures of one run."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}
        self._began: datetime | None = None
        self._heading = ""
        self._since: datetime | None = None

    def begin(self, report: Report) -> None:
        """Note which run this is."""
        self._labels = {
            "procedure": report.procedure,
            "environment": report.environment,
            "service": report.service,
        }
        self._began = workflow.now()

    def heading(self, text: str) -> None:
        """Close the phase under the heading before, and open the next."""
        self._close_phase()
        self._heading, self._since = text, workflow.now()
        self._show_what_may_come()

    def answered(self, opened: datetime, how: str) -> None:
        """Note that a checkpoint closed: ``answered``, ``silence``, ``void`` or ``stopped``."""
        waited = workflow.now() - opened
        self._took(metric_names.CHECKPOINT_WAIT, waited, end=how)

    def read(self, readings: Iterable[Reading]) -> None:
        """Count readings, and how much they say."""
        for reading in readings:
            self._count(metric_names.READINGS, kind=reading.kind, quality=reading.quality)

    def end(self, ending: Ending) -> None:
        """Count how the run ended."""
        self._close_phase()
        self._count(metric_names.PROCEDURES, outcome=ending.outcome)
        if ending.verdict:
            self._count(metric_names.VERDICTS, verdict=ending.verdict)
        if self._began is not None:
            took = workflow.now() - self._began
            self._took(metric_names.PROCEDURE_DURATION, took, outcome=str(ending.outcome))

    def _close_phase(self) -> None:
        if self._since is not None:
            took = workflow.now() - self._since
            self._took(metric_names.PHASE_DURATION, took, heading=self._heading)

    def _show_what_may_come(self) -> None:
        """Start the counters at zero while the run continues: Prometheus sees no growth in one that is born at one."""
        for outcome in Outcome:
            self._count(metric_names.PROCEDURES, 0, outcome=outcome)
        for verdict in Verdict:
            self._count(metric_names.VERDICTS, 0, verdict=verdict)

    def _count(self, figure: metric_names.Counter, by: int = 1, /, **labels: str) -> None:
        figure.on(workflow.metric_meter()).add(by, self._labels | _plain(labels))

    def _took(self, figure: metric_names.Seconds, took: timedelta, /, **labels: str) -> None:
        figure.on(workflow.metric_meter()).record(took.total_seconds(), self._labels | _plain(labels))


def _plain(labels: dict[str, str]) -> dict[str, str]:
    return {name: str(value) for name, value in labels.items()}
