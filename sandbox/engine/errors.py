"""What the engine refuses, with the status and in the form of the real one."""

from __future__ import annotations


class EngineError(Exception):
    """An answer that is not what was asked for; its text is the answer's ``message``."""

    status = 500


class BadParameterError(EngineError):
    """What was asked cannot be meant."""

    status = 400


class NoSuchError(EngineError):
    """It is not there."""

    status = 404


class ConflictError(EngineError):
    """Its state does not allow that."""

    status = 409


class NotSimulatedError(EngineError):
    """A real engine does that; this one does not."""

    status = 501

    def __init__(self, what: str) -> None:
        super().__init__(f"the sandbox's engine does not simulate {what}")
