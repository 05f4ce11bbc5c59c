"""A stage whose programs report themselves."""

from sandbox.machine.processes import free_port
from tests.integration.rollback.rollback_stage import Stage

CATALOG = """
[environments.observed]
cluster = "observed"
approvals = { needed = 0 }

[[alerts]]
name = "BadRelease"
severity = "critical"
respond_within = "5m"
procedure = "rollback"

[incidents]
quiet = "0s"

[services]
"""


class ObservedStage(Stage):
    """A stage whose programs report themselves."""

    def __init__(self, world, folder, client, **variables):
        super().__init__(world, folder, client)
        self.catalog.write_text(CATALOG, encoding="utf-8")
        self.variables = variables

    @property
    def environment(self):
        return super().environment | self.variables


def free_address():
    """An address below the ports that clients' connections are given, so that it stays free until it is taken."""
    return f"127.0.0.1:{free_port()}"
