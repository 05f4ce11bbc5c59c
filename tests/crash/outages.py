"""What goes wrong on a lane, and how a remediation of it ended."""

from dataclasses import dataclass

from runbook_model.messages import ProcedureRequest, RollbackRequest


@dataclass(frozen=True)
class Outage:
    """What is wrong with the releases of a lane, and the procedure that puts it right."""

    procedure: str
    fault: tuple[str, str]
    child: str | None = None
    """The procedure that it runs as its child."""

    @property
    def request(self):
        return RollbackRequest if self.procedure == "rollback" else ProcedureRequest


ERRORS = Outage("rollback", ("FAULT_ERROR_RATE", "0.3"))
CRASHES = Outage("service-down", ("FAULT_CRASH_AFTER_SECONDS", "3"), child="rollback")


@dataclass(frozen=True)
class End:
    """How a remediation ended: all that must be the same whether or not somebody died on the way."""

    outcome: str
    runs: str
    marks: dict[str, list[str]]
    changes: list[str]
    """Calls by the product that changed the service and that AWS applied."""
    faults: list[str]
    """What the checker found: a change that was made twice, without a yes to exactly that call, or after an abort."""
    deployments: int
    """How many deployments came of them."""
    steps: list[tuple[str, str, str]]
