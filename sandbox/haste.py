"""The product's own alert rules and routes, hastened: what takes minutes in earnest takes seconds here.

Every duration of ``deploy/prometheus/alerts.yml`` and ``deploy/alertmanager.yml`` is divided by ``SPEED``, and nothing else
is changed but where the webhook is. A window keeps four scrapes at least, and patience some seconds, so that tasks that
only start are no outage.
"""

from __future__ import annotations

import re
from pathlib import Path

_DEPLOY = Path(__file__).parents[1] / "deploy"
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
