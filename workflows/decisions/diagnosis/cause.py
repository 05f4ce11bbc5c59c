"""Causes, how a diagnosis is shown, and signs that several diagnoses look for: a sentence where the evidence shows it, else None."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from runbook_model.catalog.target import Target
from runbook_model.measured.evidence import Evidence
from runbook_model.measured.symptoms import LoadRead, LogsRead
from runbook_model.messages import Message

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
    """Name what could not be read, or said nothing; a reason that several have in common is given once."""
    silent: dict[str, list[str]] = {}
    for name, item in evidence.items():
        if not item.known:
            silent.setdefault(item.why or "", []).append(name.replace("_", " "))
    return tuple(f"{', '.join(names)} not known: {why}" for why, names in silent.items())


class Cause(StrEnum):
    """What is behind the symptoms."""

    BAD_RELEASE = "bad-release"
    CRASH_LOOP = "crash-loop"
    UNHEALTHY_TARGETS = "unhealthy-targets"
    CAPACITY = "capacity"
    DEPLOYMENT_STUCK = "deployment-stuck"
    DEPENDENCY = "dependency"
    """Something that the service relies on is down; the database is ``DATABASE`` where that is known."""
    LOAD = "load"
    RESOURCES = "resources"
    DATABASE = "database"
    CODE_PATH = "code-path"
    CPU = "cpu"
    MEMORY = "memory"
    LEAK = "leak"
    FINE = "fine"
    """The symptoms are gone, or were never there."""
    UNKNOWN = "unknown"
    """Too little is known, or the evidence speaks for several causes: a person decides."""


class Diagnosis(Message):
    """A cause with what speaks for it."""

    cause: Cause
    because: tuple[str, ...]
    """The evidence, a sentence each; the first says it best."""
    doubts: tuple[str, ...] = ()
    """What speaks against it, or could not be read."""
    release: str | None = None
    """``family:revision`` that it started with, where it did."""
    restart: tuple[str, ...] = ()
    """Services that a restart would help, in their order, where the platform can restart single ones."""
    look_at: tuple[str, ...] = ()
    """What was read, a line each, for the person who continues."""
    queries: dict[str, str] = Field(default_factory=dict)
    """The PromQL that it was read with, by what it asks for."""

    @property
    def summary(self) -> str:
        """One line for people."""
        because = "; ".join(self.because)
        doubts = "; ".join(doubt for doubt in self.doubts if doubt not in because)
        found = "all readings are good" if self.cause is Cause.FINE else self.cause
        return f"{found}: {because} (but {doubts})" if doubts else f"{found}: {because}"

    def citing(self, *lines: str, **asked: Evidence) -> Diagnosis:
        """Return it with what a person looks at: what was read, and how Prometheus was asked."""
        queries = {
            name.replace("_", " "): item.query for name, item in asked.items() if item.source == "prometheus"
        }
        return self.model_copy(update={"look_at": lines, "queries": queries})


def unknown(*because: str, doubts: tuple[str, ...] = ()) -> Diagnosis:
    """Leave it to a person."""
    return Diagnosis(cause=Cause.UNKNOWN, because=because, doubts=doubts)
