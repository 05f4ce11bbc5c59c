"""Ships the tasks' output to CloudWatch Logs, as the awslogs driver does: in batches, a stream per task."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.aws_clients import logs_client

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef

SHIP_INTERVAL_SECONDS = 1.0
MAX_BATCH_EVENTS = 1_000
_log = logging.getLogger(__name__)


class TaskLogs:
    """Lines wait here until the next batch; they also wait for CloudWatch Logs to be there at all."""

    def __init__(self) -> None:
        self._waiting: defaultdict[tuple[str, str], list[InputLogEventTypeDef]] = defaultdict(list)
        self._groups: set[str] = set()
        self._streams: set[tuple[str, str]] = set()

    def add(self, group: str, stream: str, line: str) -> None:
        """Take one line of a task's output, with the time it came."""
        self._waiting[group, stream].append({"timestamp": int(time.time() * 1000), "message": line})

    async def run(self, endpoint_url: str) -> None:
        """Ship what waits, every second, until cancelled."""
        client = await asyncio.to_thread(logs_client, endpoint_url)
        while True:
            await asyncio.to_thread(self._ship, client)
            await asyncio.sleep(SHIP_INTERVAL_SECONDS)

    def _ship(self, client: CloudWatchLogsClient) -> None:
        for group, stream in list(self._waiting):
            events = self._waiting.pop((group, stream))
            try:
                self._make(client, group, stream)
                for first in range(0, len(events), MAX_BATCH_EVENTS):
                    client.put_log_events(
                        logGroupName=group,
                        logStreamName=stream,
                        logEvents=events[first : first + MAX_BATCH_EVENTS],
                    )
            except (BotoCoreError, ClientError) as failed:
                _log.warning("%d lines of %s did not reach %s: %s", len(events), stream, group, failed)

    def _make(self, client: CloudWatchLogsClient, group: str, stream: str) -> None:
        """Create the group and the stream on their first line."""
        if group not in self._groups:
            try:
                client.create_log_group(logGroupName=group)
            except client.exceptions.ResourceAlreadyExistsException:
                _log.debug("log group %s was there before", group)
            self._groups.add(group)
        if (group, stream) not in self._streams:
            client.create_log_stream(logGroupName=group, logStreamName=stream)
            self._streams.add((group, stream))
