"""What goes wrong on a lane, and how a remediation of it ended."""

from dataclasses import dataclass

from runbook_model.messages import ProcedureRequest, RollbackRequest

A_DAY = 1440
"""Minutes: no bake time is longer."""
ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"


@dataclass(frozen=True)
class Outage:
    """What is wrong with the releases of a lane, and the procedure that puts it right."""

    procedure: str
    fault: tuple[str, str]
    child: str | None = None
    """The procedure that it runs as its child."""
    bake_minutes: int | None = None
    """Of a service whose deployments are blue/green."""

    @property
    def in_flight(self):
        """Whether the bad release is still in its bake time when it is rolled back."""
        return self.bake_minutes == A_DAY

    @property
    def name(self):
        """Of its lanes."""
        return self.procedure if self.bake_minutes is None else f"{self.procedure}-bakes-{self.bake_minutes}"

    def settings(self, lane):
        """What the service of a lane is created with, besides what every lane's is."""
        if self.bake_minutes is None:
            return {}
        groups = [f"{ELB}:targetgroup/{lane}-{number}/5a11db0c5a11db0c" for number in (1, 2)]
        rule = f"{ELB}:listener-rule/app/{lane}/5a11db0c5a11db0c/5a11db0c5a11db0c/{1:016x}"
        balancer = {
            "targetGroupArn": groups[0],
            "containerName": "app",
            "containerPort": 8080,
            "advancedConfiguration": {
                "alternateTargetGroupArn": groups[1],
                "productionListenerRule": rule,
                "roleArn": "arn:aws:iam::123456789012:role/traffic",
            },
        }
        return {
            "loadBalancers": [balancer],
            "deploymentConfiguration": {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": self.bake_minutes},
        }

    @property
    def request(self):
        return RollbackRequest if self.procedure == "rollback" else ProcedureRequest

    def suspects(self, bad):
        """What a diagnosis would tell the procedure, so that it need not ask which of two releases is the bad one."""
        return {"suspect": bad.rpartition("/")[2]} if self.in_flight else {}


ERRORS = Outage("rollback", ("FAULT_ERROR_RATE", "0.3"))
IN_THE_BAKE = Outage("rollback", ERRORS.fault, bake_minutes=A_DAY)
AFTER_THE_BAKE = Outage("rollback", ERRORS.fault, bake_minutes=1)
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
