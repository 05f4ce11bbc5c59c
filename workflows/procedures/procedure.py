"""A procedure as one object: everything that worker, command line, doctor and reviews need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from typing import Any

from runbook_model.catalog.policies import AlertRule
from runbook_model.catalog.target import Target
from workflows.page.procedure import ProcedureWorkflow

Part = tuple[str, tuple[str, ...]]
"""A sentence of the paper runbook, and the commands that go with it."""


@dataclass(frozen=True)
class Procedure:
    """One procedure.

    A package registers it by an entry point of the group ``incident_runbooks.procedures``, whose name is the
    procedure's.
    """

    name: str
    """What people type, such as ``stuck-deployment``: words of a-z and 0-9 with - between them, each starting with a
    letter. It is also the entry point's name."""
    workflow: type[ProcedureWorkflow]
    """The workflow. Its type is made of the name: ``StuckDeployment``."""
    page: Traversable
    """The page for people, in Markdown; its ``##`` headings are those that the workflow sets, in the same order."""
    activities: Sequence[type | Callable[..., Any]] = ()
    """Activities that the product does not have: classes, each made once by the worker as ``Class(clients)`` with
    ``activities.registry.Clients``, and functions. All are served by the environment's queue; coroutines that change
    nothing also by its queue of long waits."""
    changes: Mapping[str, str] = field(default_factory=dict)
    """Which of these activities change something: name of the activity -> the call that it makes, for people."""
    paper: Callable[[Target], Sequence[Part]] | None = None
    """What ``runbook print`` shows for a target; without it, the page itself."""
    alerts: Sequence[AlertRule] = ()
    """Rows of the alert matrix, for catalogs that have no ``[[alerts]]`` of their own."""

    def activity_names(self) -> frozenset[str]:
        """Name the activities that it brings."""
        return frozenset(name for activity in self.activities for name in definitions(activity))


def definitions(of: type | Callable[..., Any]) -> frozenset[str]:
    """Name the activities that a function is, or that a class has as methods."""
    parts = [of, *vars(of).values()] if isinstance(of, type) else [of]
    known = (getattr(part, "__temporal_activity_definition", None) for part in parts)
    return frozenset(str(definition.name) for definition in known if definition)
