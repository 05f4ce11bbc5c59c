"""How processes log: JSON lines with the run and the step that speak, or readable lines on a terminal."""

from __future__ import annotations

import json
import logging
import os
import sys
import textwrap
from datetime import UTC, datetime
from typing import Any

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

from runbook_model.errors import BugError, RunbookError
from runbook_model.text.plain_text import harmless, one_line, unbroken

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TEMPORALS_OWN = frozenset({"temporal_activity", "temporal_workflow", "__temporal_error_identifier"})
"""Fields that the SDK's loggers add; ``where`` says the same in our words."""


class JsonLines(logging.Formatter):
    """Writes a record as one JSON object: when, how bad, what, where, and the fields that came with it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= where()
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD | _TEMPORALS_OWN}
        if record.exc_info:
            line["error"] = in_a_line(record.exc_info) or self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TerminalLines(logging.Formatter):
    """Writes a record for a person who looks on."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S %Z")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line; what it quotes from outside cannot start another."""
        record.message = unbroken(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the traceback, indented: no line of it passes for one of the log."""
        return textwrap.indent(harmless(in_a_line(ei) or super().formatException(ei)), "  ")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the run and the activity at its end."""
        place = where()
        speaks = " · ".join(place[key] for key in ("workflow_id", "activity") if key in place)
        return f"{super().format(record)}{f'  [{speaks}]' if speaks else ''}"


def in_a_line(raised: Any) -> str | None:
    """Return an error that says by itself what is wrong; None for bugs, of which the whole traceback helps."""
    error = raised[1]
    ours = error.__cause__ if isinstance(error, ApplicationError) else error
    if not isinstance(ours, RunbookError) or isinstance(ours, BugError):
        return None
    return one_line(f"{type(ours).__name__}: {ours}")


def where() -> dict[str, str]:
    """Return the run, the step and the trace that the calling code works for."""
    place: dict[str, str] = {}
    if activity.in_activity():
        info = activity.info()
        place = {"step": info.activity_id, "activity": info.activity_type, "attempt": str(info.attempt)}
        if info.workflow_id and info.workflow_run_id:
            place |= {"workflow_id": info.workflow_id, "run_id": info.workflow_run_id}
    elif workflow.in_workflow():
        run = workflow.info()
        place = {"workflow_id": run.workflow_id, "run_id": run.run_id, "workflow": run.workflow_type}
    if trace_id := _trace_id():
        place["trace_id"] = trace_id
    return place


def log_to_stderr(*ours: str) -> None:
    """Send this process's logs to stderr: our loggers from INFO on, others from WARNING.

    ``RUNBOOK_LOG`` may be ``json`` or ``text``; without it a terminal gets text.

    Args:
        ours: names of the loggers that speak at INFO.
    """
    wish = os.environ.get("RUNBOOK_LOG") or ("text" if sys.stderr.isatty() else "json")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TerminalLines() if wish == "text" else JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    activity.logger.activity_info_on_message = workflow.logger.workflow_info_on_message = False
    for name in ours:
        logging.getLogger(name).setLevel(logging.INFO)


def _trace_id() -> str | None:
    # Only a process that traces has it loaded; this module must not load it for the others.
    tracing = sys.modules.get("opentelemetry.trace")
    if tracing is None:
        return None
    context = tracing.get_current_span().get_span_context()
    return tracing.format_trace_id(context.trace_id) if context.is_valid else None
