"""CloudWatch Logs: the events of a log group that look like errors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runbook_model.catalog.target import Target

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilterLogEventsRequestTypeDef

    from activities.aws.clients import AwsClients

PATTERN = (
    "%[Ee][Rr][Rr]|[Cc][Rr][Ii][Tt]|[Ff][Aa][Tt][Aa][Ll]|[Pp][Aa][Nn][Ii][Cc]|[Ee][Mm][Ee][Rr][Gg]"
    "|[Ss][Ee][Vv][Ee][Rr][Ee]|[Aa][Ll][Ee][Rr][Tt]|Exception|Traceback|[Ll]evel.{1,4}[56]0%"
)
"""What CloudWatch looks for: rather too much than too little, since it knows neither case nor levels.

Its regular expressions have no groups and no flags. The numbers are levels of pino and bunyan.
"""
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
        "limit": PAGE,
    }
    if target.error_pattern is None:  # CloudWatch would not understand the team's own
        request["filterPattern"] = PATTERN
    for _ in range(PAGES):
        with clients.naming_errors(f"read the log group {target.log_group}"):
            page = clients.logs(target.account).filter_log_events(**request)
        found += [(item.get("timestamp", 0), item.get("message", "")) for item in page.get("events", [])]
        if not page.get("nextToken"):
            return found, True
        request["nextToken"] = page["nextToken"]
    return found, False


def _milliseconds(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)
