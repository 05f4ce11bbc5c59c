"""Words for people: what an announcement says on a channel, by templates that a team can replace.

Text of people and alerts is never trusted: it is redacted, cut, put on one line, and pings nobody. Templates escape
nothing themselves and cannot forget it: every value that one prints is escaped on its way out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runbook_model.incident.announcements import UNKNOWN, Announcement, Notice
from runbook_model.text.durations import format_duration
from runbook_model.text.plain_text import one_line
from runbook_model.text.redaction import excerpt

log = logging.getLogger("runbook.chat")

Flavour = Literal["slack", "txt"]
BUILT_IN = Path(__file__).parent / "templates"
LONGEST_FIELD = 500
MOST_ITEMS = 10
LONGEST_MESSAGE = 12_000
NAMES = frozenset({"incident", "kind", "service", "environment", "severity", "status", "target", "run"})
"""Fields that hold names of ours: nothing in them is a secret, however long they are."""
_PING = re.compile(r"@(?=(?:channel|here|everyone|all)\b)", re.IGNORECASE)
_LINK = re.compile(r"https?://[^\s<>|\"]+")


@dataclass(frozen=True)
class Words:
    """A message as one channel says it."""

    text: str
    mark: str
    """Distinguishes a repeat of this message from another one."""
    at: datetime
    content: Mapping[str, Any]
    """The same for machines: its fields, as JSON."""
    urgent: bool = False
    """Also those should see it who do not read along."""

    @property
    def first_line(self) -> str:
        """What a notification shows: what to do, where there is something to do."""
        return self.text.partition("\n")[0]


class Templates:
    """The product's templates, and a team's own in front of them."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._team = cache(self._environment)

    def announce(self, announcement: Announcement, flavour: Flavour) -> Words:
        """Word an announcement."""
        content = _clean(announcement.model_dump())
        text = self._render(announcement.kind, flavour, _spoken(content))
        if announcement.instead_of:
            text = _bounded(text, _ESCAPES[flavour](f"(said here because {content['instead_of']})"))
        urgent = announcement.kind in {"resolved", "escalation"}
        return Words(text, announcement.mark, announcement.at, _as_json(content), urgent)

    def notice(self, notice: Notice, flavour: Flavour, *, mark: str) -> Words:
        """Word a notice of a procedure."""
        content = _clean(notice.model_dump())
        text = self._render("notice", flavour, content)
        return Words(text, mark, datetime.now(UTC), {"kind": "notice", **content}, notice.urgent)

    def _render(self, kind: str, flavour: Flavour, fields: Mapping[str, Any]) -> str:
        name = f"{kind}.{flavour}.j2"
        complaint = None
        if self._folder is not None and (self._folder / name).exists():
            try:
                text = self._team(self._folder, flavour).get_template(name).render(fields).strip()
                if text:
                    return _bounded(text)
                complaint = f"the template {name} of RUNBOOK_TEMPLATES renders to an empty text"
            except Exception as error:  # noqa: BLE001 - a template may raise anything, and people must be notified all the same
                complaint = f"the template {name} of RUNBOOK_TEMPLATES is broken{_where(error)}"
            log.warning("%s; the built-in one is used", complaint)
        text = self._team(BUILT_IN, flavour).get_template(name).render(fields).strip()
        return _bounded(text, f"({_ESCAPES[flavour](complaint)})" if complaint else None)

    def _environment(self, folder: Path, flavour: Flavour) -> Environment:
        escape = _ESCAPES[flavour]
        environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            autoescape=False,
            finalize=lambda value: value if isinstance(value, _Ready) else escape(str(value)),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["link"] = _LINKS[flavour]
        return environment


class _Ready(str):
    """Text that is escaped already."""

    __slots__ = ()


def escape_slack(text: str) -> str:
    """Escape the three characters that Slack's markup is made of, and nothing else."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_ESCAPES: dict[str, Callable[[str], str]] = {"slack": escape_slack, "txt": str}
_LINKS: dict[str, Callable[[str, str], str]] = {
    "slack": lambda url, label: _Ready(f"<{escape_slack(url)}|{escape_slack(label)}>"),
    "txt": lambda url, label: _Ready(f"{label}: {url}"),
}


def _clean(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _cleaned(name, value) for name, value in fields.items()}


def _cleaned(name: str, value: Any) -> Any:
    match value:
        case str() if name in NAMES:
            return _harmless(one_line(value))[:LONGEST_FIELD]
        case str():
            return _harmless(excerpt(value, LONGEST_FIELD))
        case tuple() | list():
            kept = [_cleaned("", each) for each in value[:MOST_ITEMS]]
            return kept + ([f"… and {len(value) - MOST_ITEMS} more"] if len(value) > MOST_ITEMS else [])
        case dict():
            links = {_harmless(excerpt(label, 60)): url for label, url in value.items()}
            return {
                label: url for label, url in links.items() if _LINK.fullmatch(url) and one_line(url) == url
            }
    return value


def _harmless(text: str) -> str:
    """Keep ``@here`` and its like readable, but no longer a ping."""
    return _PING.sub("@\u2060", text)


def _spoken(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Write times and durations as people read them; what nobody knows says so."""
    spoken = dict(fields)
    for name in ("at", "started", "next_update"):
        spoken[name] = _time(fields[name]) if fields[name] else None
    spoken["duration"] = format_duration(fields["duration"]) if fields["duration"] else UNKNOWN
    spoken["status"] = fields["status"].capitalize()
    return spoken


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _as_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(fields)
    for name, value in fields.items():
        if isinstance(value, datetime):
            plain[name] = value.astimezone(UTC).isoformat()
        elif isinstance(value, timedelta):
            plain[name] = value.total_seconds()
    return plain


def _where(error: Exception) -> str:
    line = getattr(error, "lineno", None)
    said = str(error) if isinstance(error, TemplateError) else type(error).__name__
    return f", line {line}: {said}" if line else f": {said}"


def _bounded(text: str, footnote: str | None = None) -> str:
    if len(text) > LONGEST_MESSAGE:
        text = (
            f"{text[:LONGEST_MESSAGE].rpartition(chr(10))[0] or text[:LONGEST_MESSAGE]}\n… (the rest was cut)"
        )
    return f"{text}\n\n{footnote}" if footnote else text
