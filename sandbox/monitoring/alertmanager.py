"""The real Alertmanager of the sandbox, where a webhook is named; the product's own rules and routes, hastened to seconds.

Every duration of ``deploy/prometheus/alerts.yml`` and ``deploy/alertmanager.yml`` is divided by ``SPEED``, and nothing else
is changed but where the webhook is. A window keeps four scrapes at least, and patience some seconds, so that tasks that
only start are no outage.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from sandbox.machine.processes import HttpDaemon, free_port

_PROGRAMS = ("prometheus-alertmanager", "alertmanager")

_DEPLOY = Path(__file__).parents[2] / "deploy"

RULES = _DEPLOY / "prometheus" / "alerts.yml"

ROUTES = _DEPLOY / "alertmanager.yml"

SPEED = 30

SHORTEST_WINDOW_SECONDS = 4

SHORTEST_PATIENCE_SECONDS = 5

SHORTEST_ROUND_SECONDS = 1

_UNITS = {"s": 1, "m": 60, "h": 3600}

_WINDOW = re.compile(r"(?P<before>\[)(?P<number>\d+)(?P<unit>[smh])(?P<after>\])")

_PATIENCE = re.compile(r"(?P<before>\bfor: )(?P<number>\d+)(?P<unit>[smh])(?P<after>$)", re.MULTILINE)

_ROUND = re.compile(
    r"(?P<before>\b(?:group_wait|group_interval|repeat_interval): )(?P<number>\d+)(?P<unit>[smh])(?P<after>$)",
    re.MULTILINE,
)

_URL = re.compile(r"(?<=\burl: ).+$", re.MULTILINE)

_TOKEN_FILE = re.compile(r"(?<=\bcredentials_file: ).+$", re.MULTILINE)


@dataclass(frozen=True)
class Webhook:
    """Who gets the alerts."""

    url: str
    token: str


class Alertmanager(HttpDaemon):
    """An Alertmanager with the product's own routes, only quicker."""

    def __init__(self, folder: Path, webhook: Webhook) -> None:
        """Prepare it.

        Args:
            folder: where it keeps what it has sent, its configuration and its log.
            webhook: who gets the alerts.

        Raises:
            RuntimeError: it is not installed, or the tree has no routes.
        """
        address = f"127.0.0.1:{free_port()}"
        token = folder / "webhook-token"
        token.touch(mode=0o600)
        token.write_text(webhook.token)
        configuration = folder / "alertmanager.yml"
        configuration.write_text(hastened_routes(webhook.url, token))
        argv = [
            _program(),
            f"--config.file={configuration}",
            f"--web.listen-address={address}",
            f"--storage.path={folder / 'alertmanager'}",
            "--data.maintenance-interval=5s",  # what was sent is known again after a kill
            "--cluster.listen-address=",
            "--log.level=info",
        ]
        super().__init__("alertmanager", argv, folder, address=address, ready="/-/ready")

    async def restart(self) -> None:
        """End it in order and start it again."""
        await self.end()
        await self.start()


def find_alertmanager() -> str | None:
    """Return the program on PATH, or None."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


def _program() -> str:
    found = find_alertmanager()
    if found is None:
        raise RuntimeError("no Alertmanager on PATH: install the Debian package `prometheus-alertmanager`")
    return found


def hastened_rules() -> str:
    """Return the rules with shorter windows and less patience.

    Raises:
        RuntimeError: the tree has none.
    """
    rules = _hasten(_WINDOW, _read(RULES), SHORTEST_WINDOW_SECONDS)
    return _hasten(_PATIENCE, rules, SHORTEST_PATIENCE_SECONDS)


def hastened_routes(webhook: str, token_file: Path) -> str:
    """Return Alertmanager's configuration with shorter rounds, for a webhook of ours.

    Raises:
        RuntimeError: the tree has none, or it does not name a webhook and its token.
    """
    routes = _hasten(_ROUND, _read(ROUTES), SHORTEST_ROUND_SECONDS)
    for pattern, value in ((_URL, webhook), (_TOKEN_FILE, str(token_file))):
        routes, found = pattern.subn(value.replace("\\", r"\\"), routes)
        if found != 1:
            raise RuntimeError(f"{ROUTES} should name one webhook with its token, not {found}")
    return routes


def _hasten(durations: re.Pattern[str], text: str, shortest: int) -> str:
    def shorten(match: re.Match[str]) -> str:
        seconds = int(match["number"]) * _UNITS[match["unit"]]
        shorter = max(shortest, round(seconds / SPEED)) if seconds else 0
        return f"{match['before']}{shorter}s{match['after']}"

    return durations.sub(shorten, text)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise RuntimeError(f"{file}: {error.strerror}; a sandbox with alerts runs from a checkout") from None
