"""CloudWatch Logs: the events of a log group that look like errors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilterLogEventsRequestTypeDef

    from activities.aws.clients import AwsClients
    from runbook_model.catalog.catalog import Target

PATTERN = "?ERROR ?CRITICAL ?FATAL ?PANIC ?Exception ?Traceback"
"""What CloudWatch looks for: any of these terms."""
PAGES = 5
PAGE = 1000


def filter_error_events(
    clients: AwsClients, target: Target, since: datetime, until: datetime
) -> tuple[list[tuple[int, str]], bool]:
    """Read time and text of the events that match, and whether these are all; blocks.

    Raises:
        OutsideError: the log group cannot be read.
    """
    found: list[tuple[int, str]] = []
    request: FilterLogEventsRequestTypeDef = {
        "logGroupName": target.log_group or "",
        "startTime": _milliseconds(since),
        "endTime": _milliseconds(until),
        "filterPattern": PATTERN,
        "limit": PAGE,
    }
    for _ in range(PAGES):
        with clients.naming_errors(f"read the log group {target.log_group}"):
            page = clients.logs(target.account).filter_log_events(**request)
        found += [(one.get("timestamp", 0), one.get("message", "")) for one in page.get("events", [])]
        if not page.get("nextToken"):
            return found, True
        request["nextToken"] = page["nextToken"]
    return found, False


def _milliseconds(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)
