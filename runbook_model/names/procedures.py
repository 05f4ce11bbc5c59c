"""Names of procedures: those that come with the product, those that installed packages bring, and their workflow types.

The workflow's type is made of the name, so that whoever starts a procedure needs to have nothing of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from runbook_model.text.sentences import did_you_mean

PROCEDURES: Final = (
    "service-down",
    "high-error-rate",
    "high-latency",
    "resource-issues",
    "database-issues",
    "rollback",
)
"""The procedures that come with the product."""
GROUP: Final = "incident_runbooks.procedures"
"""The entry point group by which an installed package brings procedures of its own."""
PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*$"
"""Each part starts with a letter, so that the workflow's type leads back to the name."""
LONGEST: Final = 63
"""Characters of a name, as of every name in the catalog."""
RESERVED: Final = frozenset(
    {"incident", "hold", "brake", "drill", "doctor", "release-ledger", "plan", "remediation", "any-procedure"}
)
"""What other runs are called."""
FIX_PACKAGE: Final = (
    "install a working version of the package on the workers, or remove it, and start them again"
)


def workflow_type(procedure: str) -> str:
    """Return the type of a procedure's workflow: ``StuckDeployment`` for ``stuck-deployment``."""
    return "".join(part.capitalize() for part in procedure.split("-"))


def procedure_of(workflow_type: str) -> str:
    """Return the procedure whose workflow has this type."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", workflow_type).lower()


def problem_of_name(name: str) -> str | None:
    """Say why a procedure cannot be called so; None where it can."""
    if not re.fullmatch(PATTERN, name) or len(name) > LONGEST:
        return f"write words of a-z and 0-9 joined by -, such as high-load; each word starts with a letter; {LONGEST} characters at most in all"
    return "the product uses this name itself" if name in RESERVED else None


def installed() -> tuple[EntryPoint, ...]:
    """List what installed packages register, without importing any of them."""
    return tuple(entry_points(group=GROUP))


def source_of(entry: EntryPoint) -> str:
    """Name the package that registers a procedure, with its version."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


@dataclass(frozen=True)
class KnownProcedures:
    """What a worker serves in addition to the product's procedures, and what it cannot serve."""

    own: dict[str, str] = field(default_factory=dict)
    """Procedure -> the package that brings it, with its version."""
    broken: dict[str, str] = field(default_factory=dict)
    """Procedure -> its package, and why that cannot be used."""

    def __contains__(self, name: str) -> bool:
        return name in PROCEDURES or name in self.own

    def why_not(self, name: str) -> tuple[str, str]:
        """Say why a procedure is not served, and how to fix that."""
        if why := self.broken.get(name):
            return f"the procedure {name} cannot be used on this worker: {why}", FIX_PACKAGE
        names = (*PROCEDURES, *self.own)
        return (
            f"this worker has no procedure {name}{did_you_mean(name, names)}",
            f"install the package that brings it on the workers, or name one of: {', '.join(sorted(names))}",
        )
