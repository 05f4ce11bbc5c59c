"""The real Prometheus of the sandbox, when one is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

from sandbox.container_metrics import PATH
from sandbox.processes import Daemon, free_port

START_TIMEOUT_SECONDS = 30.0
_CONFIGURATION = """\
# Scrapes the running tasks; the sandbox rewrites the list of targets when tasks come and go.
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: ["{rules}"]
scrape_configs:
  - job_name: ai-processor
    file_sd_configs:
      - files: ["{targets}"]
  - job_name: containers  # what the tasks' processes use, as cAdvisor tells it; its labels name the tasks
    honor_labels: true
    metrics_path: {containers_path}
    static_configs:
      - targets: ["{containers}"]
"""
_RULES = Path(__file__).parents[1] / "deploy" / "prometheus" / "rules"
"""The product's own rules, where the tree has them; a sandbox that was installed without them alerts nobody."""


class Prometheus:
    """A Prometheus that scrapes every task once a second and keeps what it saw in the sandbox's folder."""

    def __init__(self, folder: Path, program: str, targets: Path, containers: str) -> None:
        """Prepare it.

        Args:
            folder: where it keeps its samples and its log.
            program: the executable.
            targets: file_sd list of the running tasks.
            containers: ``host:port`` that tells what the tasks use.
        """
        port = free_port()
        self._address = f"127.0.0.1:{port}"
        self._configuration = folder / "prometheus.yml"
        self._configuration.write_text(
            _CONFIGURATION.format(
                rules=_RULES / "*.yml", targets=targets, containers=containers, containers_path=PATH
            )
        )
        argv = [
            program,
            f"--config.file={self._configuration}",
            f"--web.listen-address={self._address}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            "--storage.tsdb.retention.time=1d",
            "--scrape.discovery-reload-interval=100ms",
            "--log.level=warn",
        ]
        self._daemon = Daemon("prometheus", argv, folder)

    @property
    def url(self) -> str:
        """Where it answers, without trailing slash."""
        return f"http://{self._address}"

    async def start(self) -> None:
        """Start it and wait until it answers queries.

        Raises:
            DaemonDiedError: it ended instead.
            TimeoutError: it did not get ready.
        """
        await self._daemon.start()
        await self._daemon.wait_for_answer(self._address, "/-/ready", seconds=START_TIMEOUT_SECONDS)

    async def watch(self) -> None:
        """Wait for as long as it runs.

        Raises:
            DaemonDiedError: it ended by itself.
        """
        await self._daemon.watch()

    async def end(self) -> None:
        """End it in order."""
        await self._daemon.end()


def find_prometheus() -> str | None:
    """Return the program on PATH, or None: the sandbox then has no Prometheus and says so."""
    return shutil.which("prometheus")
