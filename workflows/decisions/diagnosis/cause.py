"""Causes, and how a diagnosis is told."""

from __future__ import annotations

from enum import StrEnum

from workflows.messages import Message


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
    """``family:revision`` that it began with, where it did."""

    @property
    def told(self) -> str:
        """One line for people."""
        doubts = f" (but {'; '.join(self.doubts)})" if self.doubts else ""
        return f"{self.cause}: {'; '.join(self.because)}{doubts}"


def unknown(*because: str, doubts: tuple[str, ...] = ()) -> Diagnosis:
    """Leave it to a person."""
    return Diagnosis(cause=Cause.UNKNOWN, because=because, doubts=doubts)
