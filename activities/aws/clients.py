"""The only place that builds clients of outside systems, with the timeouts that fenced changes rely on."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial
from threading import RLock
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import docker
import httpx
import psycopg
from botocore.config import Config
from psycopg.rows import dict_row
from slack_sdk.web import WebClient
from slack_sdk.webhook import WebhookClient
from temporalio.common import MetricMeter

from activities.aws.assuming import RoleSession, environment_of, session_of
from activities.aws.errors import aws_errors
from activities.docker.engine_errors import engine_errors
from activities.postgres.errors import database_errors, hung_up_after
from activities.telemetry.metrics import AwsCalls
from runbook_model.catalog.accounts import Account
from runbook_model.containers import ENGINE_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

    Rows = psycopg.Connection[dict[str, Any]]

CONNECT_TIMEOUT = timedelta(seconds=2)
READ_TIMEOUT = timedelta(seconds=8)
CALL_TIMEOUT = CONNECT_TIMEOUT + READ_TIMEOUT
"""After this long nothing that an attempt sent is still waited for, so nothing more comes of it on our side."""

STATEMENT_TIMEOUT = timedelta(seconds=5)
"""The database itself gives up on a statement after this long."""
LOCK_TIMEOUT = timedelta(seconds=1)

ENGINE_SOCKET = "unix:///var/run/docker.sock"

# Temporal retries, not botocore: a retry inside a client would send a change twice behind the fence's back.
ONE_ATTEMPT = Config(
    connect_timeout=CONNECT_TIMEOUT.total_seconds(),
    read_timeout=READ_TIMEOUT.total_seconds(),
    retries={"total_max_attempts": 1, "mode": "standard"},
    max_pool_connections=50,
    user_agent_extra="incident-runbooks",
)


class Clients:
    """Clients of AWS, built on first use and shared by every activity of a worker; and connections to databases."""

    def __init__(self, meter: MetricMeter = MetricMeter.noop) -> None:
        self._own = botocore.session.get_session()
        self._calls = AwsCalls(meter)
        self._building = RLock()  # boto3's sessions are not for several threads at once
        self._built = cache(self._build)
        # Once for each: a second one over the same session of botocore breaks S3's clients.
        self._session = cache(lambda own: boto3.session.Session(botocore_session=own))
        self._role = cache(self._take_on)
        self._docker = cache(_docker)

    def _aws(self, service: str, account: Account | None) -> Any:
        with self._building:
            client = self._built(service, account)
            role = self._role(account) if account and account.role else None
        if role:
            role[0].renew()
        return client

    def _build(self, service: str, account: Account | None) -> Any:
        session = self._role(account)[1] if account and account.role else self._own
        region = account.region if account else None
        # boto3 types each service by a literal name; the typed methods below are what others use.
        client = self._session(session).client(  # type: ignore[call-overload]
            service, region_name=region, config=ONE_ATTEMPT
        )
        self._calls.watch(client)
        return client

    def _take_on(self, account: Account) -> tuple[RoleSession, botocore.session.Session]:
        assert account.role
        role = RoleSession(account, account.role, lambda: self.sts(Account(region=account.region)))
        return role, session_of(role, self._own)

    def environment(self, account: Account) -> dict[str, str]:
        """Return the environment of a program that calls AWS by itself: ours, or that of the account's role alone.

        The role's session has only begun then: the program cannot renew it.

        Raises:
            InputError, OutsideError: the role cannot be assumed.
        """
        if account.role is None:
            return dict(os.environ)
        with self._building:
            role, _ = self._role(account)
        return environment_of(role.renew_whole(), account.region, os.environ)

    def naming_errors(self, doing: str) -> AbstractContextManager[None]:
        """Raise the product's errors for AWS's, so that who calls AWS need not import botocore."""
        return aws_errors(doing)

    def ecs(self, account: Account) -> ECSClient:
        """Return the ECS client of an account."""
        client: ECSClient = self._aws("ecs", account)
        return client

    def logs(self, account: Account) -> CloudWatchLogsClient:
        """Return the CloudWatch Logs client of an account."""
        client: CloudWatchLogsClient = self._aws("logs", account)
        return client

    def cloudwatch(self, account: Account) -> CloudWatchClient:
        """Return the CloudWatch client of an account."""
        client: CloudWatchClient = self._aws("cloudwatch", account)
        return client

    def autoscaling(self, account: Account) -> ApplicationAutoScalingClient:
        """Return the Application Auto Scaling client of an account."""
        client: ApplicationAutoScalingClient = self._aws("application-autoscaling", account)
        return client

    def sts(self, account: Account) -> STSClient:
        """Return the STS client of an account."""
        client: STSClient = self._aws("sts", account)
        return client

    def iam(self, account: Account) -> IAMClient:
        """Return the IAM client of an account."""
        client: IAMClient = self._aws("iam", account)
        return client

    def rds(self, account: Account) -> RDSClient:
        """Return the RDS client of an account."""
        client: RDSClient = self._aws("rds", account)
        return client

    def s3(self) -> S3Client:
        """Return the S3 client of the worker's own region."""
        client: S3Client = self._aws("s3", None)
        return client

    @contextmanager
    def database(
        self, dsn_env: str, *, longer: timedelta = timedelta(0)
    ) -> Iterator[Callable[[], AbstractContextManager[Rows]]]:
        """Connect to the database whose DSN a variable holds, and hand out what opens transactions in it.

        Every transaction is read-only, and its settings end with it: through a pooler, settings of a session would stay
        behind on a connection that others use next.

        Args:
            dsn_env: the variable's name.
            longer: how much longer than one call it may take; then it hangs up.

        Raises:
            InputError, OutsideError: what psycopg raises, without the DSN.
        """
        with database_errors(dsn_env, connecting=True) as dsn:
            opened = psycopg.connect(
                dsn,
                autocommit=True,
                connect_timeout=round(CONNECT_TIMEOUT.total_seconds()),
                application_name="incident-runbooks",
                prepare_threshold=None,  # a pooler may not keep what was prepared
                row_factory=dict_row,
            )
        with database_errors(dsn_env), opened as connection, hung_up_after(READ_TIMEOUT + longer, connection):
            connection.read_only = True
            yield partial(_transaction, connection)

    @contextmanager
    def engine(self, doing: str) -> Iterator[docker.DockerClient]:
        """Hand out the Docker engine of ``DOCKER_HOST``, else of the default socket.

        Args:
            doing: what is tried, for the errors.

        Raises:
            OutsideError: what the Docker client raises, inside too.
        """
        with engine_errors(doing, engine_address()):
            yield self._docker()


@contextmanager
def _transaction(connection: Rows) -> Iterator[Rows]:
    timeouts = [f"{limit.total_seconds() * 1000:.0f}" for limit in (STATEMENT_TIMEOUT, LOCK_TIMEOUT)]
    with connection.transaction():
        connection.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)", timeouts
        )
        yield connection


def engine_address() -> str:
    """Say where the Docker engine is looked for."""
    return os.environ.get("DOCKER_HOST") or ENGINE_SOCKET


def _docker() -> docker.DockerClient:
    return docker.from_env(timeout=round(ENGINE_TIMEOUT.total_seconds()), max_pool_size=20)


class SlackClients:
    """Clients of Slack; Temporal retries, not they, and what they would log may hold addresses that are secrets."""

    def __init__(self, api: str) -> None:
        self._api = api
        self._log = logging.getLogger("runbook.chat.slack")
        self._log.setLevel(logging.CRITICAL)

    def web(self, token: str) -> WebClient:
        """Return a client of the Web API for a bot's token."""
        return WebClient(
            token,
            base_url=self._api,
            timeout=round(READ_TIMEOUT.total_seconds()),
            logger=self._log,
            retry_handlers=[],
        )

    def webhook(self, address: str) -> WebhookClient:
        """Return a client of an incoming webhook."""
        return WebhookClient(
            address, timeout=round(READ_TIMEOUT.total_seconds()), logger=self._log, retry_handlers=[]
        )


def http_client() -> httpx.AsyncClient:
    """Build the client for health probes, Prometheus, ``/metrics`` and webhooks; close it with the worker."""
    # At INFO httpx logs every address, and that of a webhook is a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.AsyncClient(
        timeout=httpx.Timeout(READ_TIMEOUT.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds()),
        headers={"user-agent": "incident-runbooks"},
        limits=httpx.Limits(max_connections=200),
    )
