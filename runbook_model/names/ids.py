"""Names that people, tests and other tools rely on: workflow ids, task queues, search attributes."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio.common import SearchAttributeKey

SERVICE: Final = SearchAttributeKey.for_keyword("RunbookService")
"""The service, as the catalog names it."""
ENVIRONMENT: Final = SearchAttributeKey.for_keyword("RunbookEnvironment")
"""The environment, as the catalog names it."""
PROCEDURE: Final = SearchAttributeKey.for_keyword("RunbookProcedure")
"""The procedure's name, or what else it is: `incident`, `hold`, `brake`."""
SEVERITY: Final = SearchAttributeKey.for_keyword("RunbookSeverity")
"""Of incidents: `critical`, `warning` or `info`."""
STATE: Final = SearchAttributeKey.for_keyword("RunbookState")
"""Where it stands; see the states."""
OUTCOME: Final = SearchAttributeKey.for_keyword("RunbookOutcome")
"""How it ended; see the outcomes. Not there while it runs."""
SEARCH_ATTRIBUTES: Final = (SERVICE, ENVIRONMENT, PROCEDURE, SEVERITY, STATE, OUTCOME)

RETENTION: Final = timedelta(days=90)
"""So long Temporal should keep histories: reviews are written from them, and what is gone cannot be reviewed."""

_PARTS: Final = {"remediation": 3, "plan": 5}
"""How many parts the id of a run has; those of its children have more."""

UNROUTED: Final = ("unrouted", "unknown")
"""Service and environment of the incident that takes the alerts which belong to no target."""


def remediation_id(environment: str, service: str) -> str:
    """Return the id that is the lock: one remediation of a target at a time."""
    return f"remediation/{environment}/{service}"


def is_under_lock(workflow_id: str, environment: str, service: str) -> bool:
    """Whether a run holds the lock of a target, or works under it as a child, by its id."""
    lock = remediation_id(environment, service)
    return workflow_id == lock or workflow_id.startswith(f"{lock}/")


def target_of(workflow_id: str) -> tuple[str, str] | None:
    """Return environment and service of the lock that a run holds or works under, by its id."""
    kind, *rest = workflow_id.split("/")
    return (rest[0], rest[1]) if kind == "remediation" and len(rest) > 1 else None


def answered_at(workflow_id: str) -> str:
    """Return the id at which people answer what a run asks: its own, or the parent's whose lock it works under."""
    parts = workflow_id.split("/")
    return "/".join(parts[: _PARTS.get(parts[0])])


def hold_id(environment: str, service: str) -> str:
    """Return the id of the run that keeps a target's temporary capacity, and takes it back."""
    return f"hold/{environment}/{service}"


def is_incident(workflow_id: str) -> bool:
    """Whether a run is an incident, by its id."""
    return workflow_id.startswith("incident/")


def is_procedure(workflow_id: str) -> bool:
    """Whether a run is of a procedure, by its id: one that holds a lock, works under one, or only plans."""
    return workflow_id.split("/", maxsplit=1)[0] in _PARTS


def is_counted(workflow_id: str) -> bool:
    """Whether a run is an incident or a remediation, which figures are made of; children have longer ids."""
    return workflow_id.startswith(("incident/", "remediation/"))


def incident_id(environment: str, service: str) -> str:
    """Return the id of a target's incident."""
    return f"incident/{environment}/{service}"


def brake_id(environment: str) -> str:
    """Return the id of an environment's brake."""
    return f"brake/{environment}"


def ecs_lock_id(account: str, region: str, cluster: str, service: str) -> str:
    """Return the id of the lock of an ECS service, whatever catalogs call it."""
    return f"lock/ecs/{account}/{region}/{cluster}/{service}"


def terraform_lock_id(state: str) -> str:
    """Return the id of the lock of a state of Terraform's, by the hash of its backend, key and workspace."""
    return f"lock/terraform/{state}"


def is_lock(workflow_id: str) -> bool:
    """Whether a run is a lock that another holds, by its id."""
    return workflow_id.startswith("lock/")


def plan_id(environment: str, service: str, procedure: str, unique: str) -> str:
    """Return the id of a run that only plans; it takes no lock."""
    return f"plan/{environment}/{service}/{procedure}/{unique}"


def ledger_id(environment: str, service: str, unique: str) -> str:
    """Return the id of one look into, or correction of, a target's ledger of releases."""
    return f"ledger/{environment}/{service}/{unique}"


def is_ledger_of(workflow_id: str, environment: str, service: str) -> bool:
    """Whether a run is a look into a target's ledger of releases, by its id."""
    return workflow_id.startswith(f"ledger/{environment}/{service}/")


def doctor_id(environment: str, unique: str) -> str:
    """Return the id of one look whether everything is in place in an environment."""
    return f"doctor/{environment}/{unique}"


def drill_id(environment: str) -> str:
    """Return the id of an environment's drill that somebody asked for, and of the schedule of those that nobody does."""
    return f"drill/{environment}"


def task_queue(environment: str) -> str:
    """Return the queue of an environment's workflows and short activities."""
    return f"runbooks-{environment}"


def watch_queue(environment: str) -> str:
    """Return the queue of an environment's long waits, which have slots of their own."""
    return f"runbooks-{environment}-watch"
