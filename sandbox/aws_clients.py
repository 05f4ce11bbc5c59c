"""The sandbox's own AWS clients: marked, so that their calls stay out of the call log."""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from sandbox.names import REGION, SANDBOX_USER_AGENT

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_logs import CloudWatchLogsClient

ACCESS_KEY = "sandbox"
SECRET_KEY = "sandbox"  # noqa: S105 - the simulated AWS checks no secret; contracts fix this value
_CONFIG = Config(
    user_agent_extra=SANDBOX_USER_AGENT,
    proxies={},  # the sandbox is on loopback, whatever the machine's proxy settings
    connect_timeout=2,
    read_timeout=10,
    retries={"total_max_attempts": 3},
)


@cache
def _session() -> boto3.Session:
    """Read the services' models once; a session must not make two clients at the same time."""
    return boto3.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name=REGION)


_making = Lock()


def ecs_client(endpoint_url: str) -> ECSClient:
    """Return a client of the simulated ECS."""
    with _making:
        return _session().client("ecs", endpoint_url=endpoint_url, config=_CONFIG)


def logs_client(endpoint_url: str) -> CloudWatchLogsClient:
    """Return a client of CloudWatch Logs."""
    with _making:
        return _session().client("logs", endpoint_url=endpoint_url, config=_CONFIG)


def cloudwatch_client(endpoint_url: str) -> CloudWatchClient:
    """Return a client of CloudWatch."""
    with _making:
        return _session().client("cloudwatch", endpoint_url=endpoint_url, config=_CONFIG)


def aws_environment(endpoint_url: str) -> dict[str, str]:
    """Return what a client of AWS needs in its environment to find the simulated one."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }
