"""What AWS's errors mean to a procedure: one table, with its sources.

Tried again: throttling, somebody else's change of the same thing at this moment, what was just made and is not to be seen
yet (a few times), credentials that a person renews, and every failure of AWS itself. The rest is final, with its fix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from temporalio import activity

from runbook_model.errors import (
    AccessDeniedError,
    BusyError,
    CredentialsError,
    NotFoundError,
    OutsideError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from runbook_model.text.sentences import quote

DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})
STALE_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "UnrecognizedClientException",
    }
)
THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Source: botocore/retries/standard.py, ThrottledRetryableChecker."""
CONCURRENT = frozenset(
    {
        "ConcurrentModification",  # IAM: "multiple requests to change this object were submitted simultaneously"
        "ConcurrentModificationException",  # CloudWatch, 429
        "ConcurrentUpdateException",  # Application Auto Scaling: "already has a pending update"
        "ConflictException",  # ECS StopServiceDeployment: "conflict in the current state of the resource"
        "OperationAborted",  # S3: "A conflicting conditional operation is currently in progress"
        "UpdateInProgressException",  # ECS
    }
)
"""Somebody changes the same thing at this moment. Source: the service models of botocore, whose words these are."""
CONCURRENT_BY_MESSAGE = ("too many concurrent attempts to create a new revision",)
"""The same, said by ECS as a ``ClientException`` of RegisterTaskDefinition. Source: hashicorp/terraform-provider-aws#9777."""
NOT_SEEN_YET = ("taskdefinition not found", "unable to describe task definition")
"""What was just made is not to be seen everywhere yet, or never was: a ``ClientException`` or ``InvalidParameterException``.

Source: hashicorp/terraform-provider-aws#45553, remind101/empire#353.
"""
SEEN_WITHIN = 5
"""Attempts after which what is still not to be seen does not exist."""
BROKEN = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerException",
        "InternalServiceError",
        "InternalServiceException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
"""AWS failed, whatever the status says, as every 5xx. Source: the service models, and botocore/retries/standard.py."""
QUOTAS = frozenset({"PutScalingPolicy", "RegisterScalableTarget"})
"""Calls whose ``LimitExceededException`` is a quota, not a rate. Source: the model of Application Auto Scaling."""
FIXES = {
    "BlockedException": "AWS has blocked the account: ask AWS Support",
    "ClusterNotFoundException": "check cluster and region of the environment in the catalog",
    "DBInstanceNotFound": "check database.rds_instance in the catalog",
    "LimitExceededException": "ask for a higher quota in Service Quotas",
    "ObjectNotFoundException": "look whether autoscaling was taken off the service meanwhile",
    "PlatformUnknownException": "choose a platform version that exists",
    "ServiceNotActiveException": "the service was deleted: create it again, or check ecs_service in the catalog",
    "ServiceNotFoundException": "check ecs_service in the catalog",
    "UnsupportedFeatureException": "this region does not have it: do it by hand",
}
"""What a person does about errors that are final; AWS's own words say enough of the others."""
NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    SSOError,
    TokenRetrievalError,
)
SETTINGS = (ProfileNotFound, ConfigNotFound, ConfigParseError, InvalidRegionError)
"""The settings of AWS themselves are wrong: nothing can be asked until a person corrects them."""
FIX_SETTINGS = "correct AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL or the files in ~/.aws, and start it again"
NOT_A_REQUEST = (ParamValidationError, NoRegionError)
"""What was asked is no call at all; trying again does not help."""
NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError)
"""After these, the request did not reach AWS."""


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Raise the product's own error for what botocore raises inside.

    Args:
        doing: what was tried, as it continues after "could not": ``describe the service ai-processor``.
    """
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        raise translate(error, doing) from error


def translate(error: ClientError | BotoCoreError | ResponseParserError, doing: str) -> OutsideError:
    """Name an error of botocore in the product's own tree."""
    if isinstance(error, ClientError):
        return _answered(error, doing)
    if isinstance(error, NO_CREDENTIALS):
        return CredentialsError(
            f"could not {doing}: {quote(str(error))}", fix="give the worker AWS credentials and it continues"
        )
    if isinstance(error, SETTINGS):
        return CredentialsError(f"could not {doing}: {quote(str(error))}", fix=FIX_SETTINGS)
    if isinstance(error, NOT_A_REQUEST):
        return RejectedError(f"could not {doing}: {quote(str(error))}")
    return UnreachableError(
        f"could not {doing}: AWS did not answer: {quote(str(error))}",
        may_have_landed=not isinstance(error, NEVER_SENT),
    )


def _answered(error: ClientError, doing: str) -> OutsideError:
    code = error.response["Error"].get("Code", "")
    message = error.response["Error"].get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    said = f"could not {doing}: {code}: {quote(message)}"
    if code in DENIED:
        return AccessDeniedError(said, fix=f"allow {_permission(message, error)} for the worker's role")
    if code in STALE_CREDENTIALS:
        return CredentialsError(said, fix="renew the worker's AWS credentials and it continues")
    if code in CONCURRENT or any(words in message.lower() for words in CONCURRENT_BY_MESSAGE):
        return BusyError(said)
    is_quota = code == "LimitExceededException" and error.operation_name in QUOTAS
    if status == HTTPStatus.TOO_MANY_REQUESTS or (code in THROTTLED and not is_quota):
        return ThrottledError(said)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in BROKEN:
        return UnreachableError(said)
    if any(words in message.lower() for words in NOT_SEEN_YET):
        again = activity.in_activity() and activity.info().attempt < SEEN_WITHIN
        return NotFoundError(said, fix=FIXES.get(code), retryable=again)
    missing = code.endswith(("NotFoundException", "NotFound", "NotFoundFault"))
    return (NotFoundError if missing else RejectedError)(said, fix=FIXES.get(code))


def _permission(message: str, error: ClientError) -> str:
    named = re.search(r"perform: ([\w-]+:\w+)", message)
    return named.group(1) if named else error.operation_name
