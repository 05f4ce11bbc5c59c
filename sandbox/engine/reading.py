"""How the engine's clients ask: paths, filters, moments; and what it refuses, in the form of the real one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from sandbox.engine.container import Container
from sandbox.machine.wire import Message


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


_VERSIONED = re.compile(r"/v\d+\.\d+(?=/)")

_TRUE = {"1", "true", "True"}


@dataclass(frozen=True)
class Call:
    """One request to the engine."""

    method: str
    path: str
    """Without the version of the API."""
    query: dict[str, str]
    body: bytes
    wants_upgrade: bool
    user_agent: str = ""

    def flag(self, name: str, *, usually: bool = False) -> bool:
        """Return a yes or no of the query."""
        return self.query[name] in _TRUE if name in self.query else usually

    def number(self, name: str) -> float | None:
        """Return a number of the query; None where it says none.

        Raises:
            BadParameterError: it is none.
        """
        text = self.query.get(name, "")
        try:
            return float(text) if text else None
        except ValueError:
            raise BadParameterError(f"invalid value for {name!r}: {text!r}") from None

    def document(self) -> dict[str, object]:
        """Return the JSON object of the body.

        Raises:
            BadParameterError: it holds none.
        """
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise BadParameterError("the body is not a JSON object")
        return found


def read_call(message: Message) -> Call:
    """Read what a client asks."""
    words = message.first_line.decode("latin-1").split(" ")
    where = urlsplit(words[1] if len(words) > 1 else "/")
    headers = {name.lower(): value for name, value in message.headers}
    return Call(
        method=words[0],
        path=unquote(_VERSIONED.sub("", where.path, count=1)),
        query={name: values[-1] for name, values in parse_qs(where.query).items()},
        body=message.body,
        wants_upgrade=headers.get(b"upgrade") == b"tcp",
        user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
    )


def chosen(call: Call, containers: list[Container]) -> list[Container]:
    """Return the containers that a list is asked for.

    Raises:
        BadParameterError, NotSimulatedError: the filters cannot be used.
    """
    filters = _filters(call.query.get("filters", ""))
    everyone = call.flag("all") or "status" in filters
    return [
        container
        for container in containers
        if (everyone or container.state.status in {"running", "restarting"}) and _fits(container, filters)
    ]


def _filters(text: str) -> dict[str, list[str]]:
    """Read filters: a list for each, or, from the engine's own client, an object whose keys they are."""
    try:
        found = json.loads(text or "{}")
        filters = {name: list(wanted) for name, wanted in found.items()}
    except (ValueError, AttributeError, TypeError):
        raise BadParameterError(f"invalid filters: {text}") from None
    if unknown := sorted(set(filters) - {"label", "name", "id", "status"}):
        raise NotSimulatedError(f"the filter {', '.join(unknown)}")
    return filters


def _fits(container: Container, filters: dict[str, list[str]]) -> bool:
    """Say whether a container has all the labels, and one of the names, ids and states."""
    status, name, id_ = container.state.status, f"/{container.spec.name}", container.id
    return (
        all(_has_label(container, wanted) for wanted in filters.get("label", ()))
        and any(wanted in name for wanted in filters.get("name", ("",)))
        and any(id_.startswith(wanted) for wanted in filters.get("id", ("",)))
        and status in filters.get("status", (status,))
    )


def _has_label(container: Container, wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    labels = container.spec.labels
    return name in labels and (not equals or labels[name] == value)
