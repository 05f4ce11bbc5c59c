"""Causes, and how a diagnosis is shown."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from runbook_model.measured.evidence import Evidence
from runbook_model.messages import Message


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
        return f"{self.cause}: {because} (but {doubts})" if doubts else f"{self.cause}: {because}"

    def citing(self, *lines: str, **asked: Evidence) -> Diagnosis:
        """Return it with what a person looks at: what was read, and how Prometheus was asked."""
        queries = {
            name.replace("_", " "): item.query for name, item in asked.items() if item.source == "prometheus"
        }
        return self.model_copy(update={"look_at": lines, "queries": queries})


def unknown(*because: str, doubts: tuple[str, ...] = ()) -> Diagnosis:
    """Leave it to a person."""
    return Diagnosis(cause=Cause.UNKNOWN, because=because, doubts=doubts)
