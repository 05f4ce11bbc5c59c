"""What a sandbox has more when somebody is to be warned: Alertmanager, and what exporters tell besides the tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sandbox import database_metrics, probe_metrics
from sandbox.alertmanager import Alertmanager, Webhook
from sandbox.database_metrics import DatabaseMetrics
from sandbox.probe_metrics import probe_route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from starlette.routing import Route


class Alerting:
    """Alertmanager, and the metrics that only alerts read."""

    jobs: ClassVar = {"blackbox_exporter": probe_metrics.PATH, "postgres_exporter": database_metrics.PATH}
    """Name of the job -> path that Prometheus scrapes."""

    def __init__(self, folder: Path, webhook: Webhook) -> None:
        self.alertmanager = Alertmanager(folder, webhook)
        self._databases: DatabaseMetrics | None = None

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
        """Start Alertmanager; only now, so that what merely starts is no outage.

        Raises:
            DaemonDiedError, TimeoutError: it did not get ready.
        """
        await self.alertmanager.start()

    async def end(self) -> None:
        """End it in order."""
        await self.alertmanager.end()
        if self._databases is not None:
            self._databases.close()
