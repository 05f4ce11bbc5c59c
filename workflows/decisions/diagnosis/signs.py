"""Signs that several diagnoses look for: each is a sentence where the evidence shows it, else None."""

from __future__ import annotations

from runbook_model.catalog.catalog import Target
from runbook_model.measured.evidence import Evidence
from runbook_model.measured.symptoms import LoadRead, LogsRead

FEWEST_LINES = 3
"""Fewer error lines about dependencies than this are chance."""
MAINLY = 0.5
"""A share of the error lines, or of the failed requests, from which on they are mainly about something."""


def more_requests(target: Target, load: LoadRead) -> str | None:
    """Say how many more requests there are than usual, where that is a surge."""
    if load.growth is None or load.growth < target.thresholds.surge:
        return None
    return (
        f"{load.rate.value:.1f} requests/s are {load.growth:.1f} times the usual {load.usual_rate.value:.1f}"
    )


def more_cpu(target: Target, load: LoadRead) -> str | None:
    """Say how much busier tasks are than usual, where they are beyond their limit too."""
    busy = load.cpu.above(target.thresholds.cpu)
    if not busy or load.cpu_growth is None or load.cpu_growth < target.thresholds.surge:
        return None
    return (
        f"CPU {100 * (load.cpu.value or 0):.0f} % (limit {100 * target.thresholds.cpu:g} %) "
        f"is {load.cpu_growth:.1f} times the usual"
    )


def names_dependencies(logs: LogsRead) -> str | None:
    """Say which dependencies the error lines are mainly about."""
    about = logs.about_dependencies
    if about < FEWEST_LINES or about < MAINLY * logs.count:
        return None
    words = ", ".join(sorted(logs.dependencies, key=lambda word: (-logs.dependencies[word], word))[:3])
    return f"{about} of {logs.count} error lines name a dependency ({words})"


def names_database(logs: LogsRead) -> str | None:
    """Say so when the error lines are mainly about the database."""
    about = logs.dependencies.get("database", 0)
    if about < FEWEST_LINES or about < MAINLY * logs.count:
        return None
    return f"{about} of {logs.count} error lines name the database"


def unread(**evidence: Evidence) -> tuple[str, ...]:
    """Name what could not be read, or said nothing."""
    silent = ((name.replace("_", " "), item.why) for name, item in evidence.items() if not item.known)
    return tuple(f"{name} not known: {why}" for name, why in silent)
