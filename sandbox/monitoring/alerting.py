"""What a sandbox has more when somebody is to be warned: Alertmanager, a Slack, and what exporters tell besides the tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from sandbox.call_log import CallLog
from sandbox.catalog import SLACK_CHANNEL, SLACK_TOKEN
from sandbox.machine.http_server import serving
from sandbox.machine.processes import free_port
from sandbox.monitoring.alertmanager import Alertmanager, Webhook
from sandbox.monitoring.slack import Slack
from sandbox.tasks.scrape_targets import DATABASES_PATH, PROBES_PATH, DatabaseMetrics, probe_route

if TYPE_CHECKING:
    from starlette.routing import Route


class Alerting:
    """Alertmanager, the metrics that only alerts read, and the Slack where people are notified."""

    jobs: ClassVar = {"blackbox_exporter": PROBES_PATH, "postgres_exporter": DATABASES_PATH}
    """Name of the job -> path that Prometheus scrapes."""

    def __init__(self, folder: Path, webhook: Webhook, log: CallLog) -> None:
        self._log = log
        self.alertmanager = Alertmanager(folder, webhook)
        self._databases: DatabaseMetrics | None = None
        self._slack_port = free_port()
        self._open = AsyncExitStack()

    @property
    def addresses(self) -> dict[str, str]:
        """Where they answer, without trailing slash."""
        return {"alertmanager": self.alertmanager.url, "slack": f"http://127.0.0.1:{self._slack_port}"}

    @property
    def environment(self) -> dict[str, str]:
        """What a worker needs to notify people there."""
        return {"RUNBOOK_SLACK_API": f"{self.addresses['slack']}/api/", SLACK_TOKEN: "xoxb-sandbox"}

    def routes(
        self, services: Mapping[str, str], databases: Iterable[str], dsn_of: Callable[[str], str]
    ) -> list[Route]:
        """Return what Prometheus scrapes.

        Args:
            services: environment -> ``host:port`` of the service.
            databases: environments that have a database.
            dsn_of: the DSN of an environment's database, once it runs.
        """
        self._databases = DatabaseMetrics(databases, dsn_of)
        return [probe_route(services), self._databases.route]

    async def start(self) -> None:
        """Start Slack, and Alertmanager; only now, so that what merely starts is no outage.

        Raises:
            DaemonDiedError, TimeoutError: it did not get ready.
        """
        await self._open.enter_async_context(
            serving(Slack(SLACK_CHANNEL, log=self._log).application, self._slack_port)
        )
        await self.alertmanager.start()

    async def end(self) -> None:
        """End them in order."""
        await self.alertmanager.end()
        await self._open.aclose()
        if self._databases is not None:
            self._databases.close()
