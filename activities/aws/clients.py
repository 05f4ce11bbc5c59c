"""The only place that builds clients of outside systems, with the timeouts that fenced changes rely on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any, cast

import boto3
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from temporalio.common import MetricMeter

from activities.aws.assuming import RoleSession, environment_of, session_of
from activities.aws.errors import FIX_SETTINGS, aws_errors
from activities.runtime.fence import CONNECT_TIMEOUT, READ_TIMEOUT, attribution
from activities.telemetry.metrics import AwsCalls
from runbook_model.catalog.accounts import Account
from runbook_model.errors import CredentialsError

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient


# Temporal retries, not botocore: a retry inside a client would send a change twice behind the fence's back.
ONE_ATTEMPT = Config(
    connect_timeout=CONNECT_TIMEOUT.total_seconds(),
    read_timeout=READ_TIMEOUT.total_seconds(),
    retries={"total_max_attempts": 1, "mode": "standard"},
    max_pool_connections=50,
    user_agent_extra="incident-runbooks",
)

# Where no Temporal tries again, and nothing but reads is sent, the client itself is patient.
PATIENT = ONE_ATTEMPT.merge(Config(retries={"total_max_attempts": 7, "mode": "standard"}))

SIGNED = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")
"""The headers by which a request is signed."""


def _say_who_asks(request: AWSRequest, **_: object) -> None:
    """Add to the user agent which attempt of which activity asks: AWS's own log, CloudTrail, has it then.

    Last of all, since botocore writes the header again for each request; it is not part of what is signed.
    """
    if who := attribution():
        agent = request.headers["User-Agent"]
        request.headers.replace_header("User-Agent", f"{agent} {who}")


class AwsClients:
    """Clients of AWS, built on first use and shared by every activity of a worker."""

    def __init__(self, meter: MetricMeter = MetricMeter.noop, config: Config = ONE_ATTEMPT) -> None:
        self._config = config
        self._own = botocore.session.get_session()
        self._calls = AwsCalls(meter)
        self._building = RLock()  # boto3's sessions are not for several threads at once
        self._built = cache(self._build)
        # Once for each: a second one over the same session of botocore breaks S3's clients.
        self._session = cache(lambda own: boto3.session.Session(botocore_session=own))
        self._role = cache(self._take_on)

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
        doing = f"prepare calls of {service}"
        try:
            with aws_errors(doing):
                # boto3 types each service by a literal name; the typed methods below are what others use.
                client = self._session(session).client(  # type: ignore[call-overload]
                    service, region_name=region, config=self._config
                )
        except ValueError as error:  # botocore's own for an endpoint that is no address
            raise CredentialsError(f"could not {doing}: {error}", fix=FIX_SETTINGS) from error
        self._calls.watch(client)
        client.meta.events.register_last("request-created", _say_who_asks)
        return client

    def _take_on(self, account: Account) -> tuple[RoleSession, botocore.session.Session]:
        assert account.role
        role = RoleSession(account, account.role, lambda: self.sts(Account(region=account.region)))
        return role, session_of(role, self._own)

    def environment(self, account: Account) -> dict[str, str]:
        """Return the environment of a program that calls AWS by itself: ours, or that of the account's role alone.

        The role's session has only started then: the program cannot renew it.

        Raises:
            InputError, OutsideError: the role cannot be assumed.
        """
        if account.role is None:
            return dict(os.environ)
        with self._building:
            role, _ = self._role(account)
        return environment_of(role.renew_whole(), account.region, os.environ)

    def signature(
        self,
        account: Account,
        service: str,
        method: str,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str],
    ) -> dict[str, str]:
        """Return the headers that sign a request that no client makes, by Signature Version 4; blocks.

        Args:
            account: by whose identity, and for which region.
            service: that it is signed for.
            method: of the request.
            url: with its query, encoded as it is sent.
            body: of the request.
            headers: those that are signed too.

        Raises:
            InputError, OutsideError: there are no credentials, or the role cannot be assumed.
        """
        found = self._credentials(account)
        request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
        held = Credentials(found.access_key or "", found.secret_key or "", found.token)
        SigV4Auth(held, service, account.region).add_auth(request)
        return {name: request.headers[name] for name in SIGNED if name in request.headers}

    def _credentials(self, account: Account) -> ReadOnlyCredentials:
        with self._building:
            role = self._role(account)[0] if account.role else None
            with aws_errors("read the worker's AWS credentials"):
                found = None if role else self._own.get_credentials()
        if role:
            role.renew()
            found = role.load()
        if found is None:
            raise CredentialsError("the worker has no AWS credentials", fix="give it a role, or AWS_PROFILE")
        with aws_errors("read the worker's AWS credentials"):
            return found.get_frozen_credentials()

    def naming_errors(self, doing: str) -> AbstractContextManager[None]:
        """Raise the product's errors for AWS's, so that who calls AWS need not import botocore."""
        return aws_errors(doing)

    def ecs(self, account: Account) -> ECSClient:
        """Return the ECS client of an account."""
        return cast("ECSClient", self._aws("ecs", account))

    def logs(self, account: Account) -> CloudWatchLogsClient:
        """Return the CloudWatch Logs client of an account."""
        return cast("CloudWatchLogsClient", self._aws("logs", account))

    def cloudwatch(self, account: Account) -> CloudWatchClient:
        """Return the CloudWatch client of an account."""
        return cast("CloudWatchClient", self._aws("cloudwatch", account))

    def autoscaling(self, account: Account) -> ApplicationAutoScalingClient:
        """Return the Application Auto Scaling client of an account."""
        return cast("ApplicationAutoScalingClient", self._aws("application-autoscaling", account))

    def elb(self, account: Account) -> ElasticLoadBalancingv2Client:
        """Return the Elastic Load Balancing client of an account."""
        return cast("ElasticLoadBalancingv2Client", self._aws("elbv2", account))

    def sts(self, account: Account) -> STSClient:
        """Return the STS client of an account."""
        return cast("STSClient", self._aws("sts", account))

    def iam(self, account: Account) -> IAMClient:
        """Return the IAM client of an account."""
        return cast("IAMClient", self._aws("iam", account))

    def rds(self, account: Account) -> RDSClient:
        """Return the RDS client of an account."""
        return cast("RDSClient", self._aws("rds", account))

    def reading(self, service: str, account: Account) -> Any:
        """Return the client of any service of an account, for reads that are the same for all of them."""
        return self._aws(service, account)

    @property
    def own_region(self) -> str | None:
        """The region of our own settings: variables, else the profile.

        Raises:
            CredentialsError: there is no such profile, or its file cannot be read.
        """
        with aws_errors("read the AWS settings"):
            region: str | None = os.environ.get("AWS_REGION") or self._own.get_config_variable("region")
        return region

    def s3(self) -> S3Client:
        """Return the S3 client of the worker's own region."""
        return cast("S3Client", self._aws("s3", None))
