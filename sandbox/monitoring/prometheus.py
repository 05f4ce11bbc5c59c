"""The real Prometheus of the sandbox, when one is installed."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from sandbox.machine.processes import HttpDaemon, free_port
from sandbox.monitoring.alertmanager import hastened_rules

SEEN_TIMEOUT_SECONDS = 10.0
_SEEN = 'count by (environment) ({metric}{{environment!=""}})'
_CONFIGURATION = """\
# Scrapes the running tasks; the sandbox rewrites the list of targets when tasks come and go.
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
{alerting}scrape_configs:
  - job_name: ai-processor
    file_sd_configs:
      - files: ["{targets}"]
"""
_ALERTING = """\
rule_files: ["{rules}"]
alerting:
  alertmanagers:
    - static_configs:
        - targets: ["{alertmanager}"]
"""
_EXPORTER = """\
  - job_name: {job}  # its labels name the targets
    honor_labels: true
    metrics_path: {path}
    static_configs:
      - targets: ["{address}"]
"""
_RESEND_DELAY = "5s"
"""So soon an Alertmanager that was away hears of what still fires."""


@dataclass(frozen=True)
class Watched:
    """What Prometheus watches, and who is warned."""

    targets: Path
    """file_sd list of the running tasks."""
    exporters: str
    """``host:port`` of everything else that is scraped …"""
    paths: Mapping[str, str]
    """… by name of the job and path."""
    alertmanager: str | None = None
    """``host:port``; with one, the product's own rules apply."""


class Prometheus(HttpDaemon):
    """A Prometheus that scrapes every task once a second and keeps what it saw in the sandbox's folder."""

    def __init__(self, folder: Path, program: str, watched: Watched) -> None:
        """Prepare it.

        Args:
            folder: where it keeps its samples and its log.
            program: the executable.
            watched: what it watches, and who is warned.

        Raises:
            RuntimeError: the tree has no rules that apply.
        """
        address = f"127.0.0.1:{free_port()}"
        self._configuration = folder / "prometheus.yml"
        self._configuration.write_text(_configuration(folder, watched))
        argv = [
            program,
            f"--config.file={self._configuration}",
            f"--web.listen-address={address}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            "--storage.tsdb.retention.time=1d",
            "--scrape.discovery-reload-interval=100ms",
            f"--rules.alert.resend-delay={_RESEND_DELAY}",
            "--log.level=warn",
        ]
        super().__init__("prometheus", argv, folder, address=address, ready="/-/ready")

    async def has_seen(self, environments: Collection[str], metric: str) -> bool:
        """Wait, but not for ever, until it has a metric of a task in each environment; whether it has."""
        give_up_at = time.monotonic() + SEEN_TIMEOUT_SECONDS
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            while not set(environments) <= await self._seen(client, metric):
                if time.monotonic() > give_up_at:
                    return False
                await asyncio.sleep(0.1)
        return True

    async def _seen(self, client: httpx.AsyncClient, metric: str) -> set[str]:
        answer = await client.get("/api/v1/query", params={"query": _SEEN.format(metric=metric)})
        found = answer.json()["data"]["result"] if answer.is_success else []
        return {item["metric"]["environment"] for item in found}


def find_prometheus() -> str | None:
    """Return the program on PATH, or None: the sandbox then has no Prometheus and says so."""
    return shutil.which("prometheus")


def _configuration(folder: Path, watched: Watched) -> str:
    alerting = ""
    if watched.alertmanager is not None:
        rules = folder / "alerts.yml"
        rules.write_text(hastened_rules())
        alerting = _ALERTING.format(rules=rules, alertmanager=watched.alertmanager)
    exporters = (
        _EXPORTER.format(job=job, path=path, address=watched.exporters) for job, path in watched.paths.items()
    )
    return "".join((_CONFIGURATION.format(alerting=alerting, targets=watched.targets), *exporters))
