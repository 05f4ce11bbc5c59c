"""What botocore's errors mean to a procedure."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

from runbook_model.errors import (
    AccessDeniedError,
    CredentialsError,
    NotFoundError,
    OutsideError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from runbook_model.sentences import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

DENIED = {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"}
STALE_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
    "UnrecognizedClientException",
}
THROTTLED = {
    "LimitExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    SSOError,
    TokenRetrievalError,
)
NOT_A_REQUEST = (ParamValidationError, NoRegionError)
"""What was asked is no call at all; trying again does not help."""
NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError)
"""After these, the request did not reach AWS."""


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Raise the product's own error for what botocore raises inside.

    Args:
        doing: what was tried, as it goes on after "could not": ``describe the service ai-processor``.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translate(error, doing) from error


def translate(error: ClientError | BotoCoreError, doing: str) -> OutsideError:
    """Name an error of botocore in the product's own tree."""
    if isinstance(error, ClientError):
        return _answered(error, doing)
    if isinstance(error, NO_CREDENTIALS):
        return CredentialsError(
            f"could not {doing}: {quote(str(error))}", fix="give the worker AWS credentials and it goes on"
        )
    if isinstance(error, NOT_A_REQUEST):
        return RejectedError(f"could not {doing}: {quote(str(error))}")
    unreachable = UnreachableError(f"could not {doing}: AWS did not answer: {quote(str(error))}")
    unreachable.may_have_landed = not isinstance(error, NEVER_SENT)
    return unreachable


def _answered(error: ClientError, doing: str) -> OutsideError:
    code = error.response["Error"].get("Code", "")
    message = error.response["Error"].get("Message", "")
    said = f"could not {doing}: {code}: {quote(message)}"
    if code in DENIED:
        return AccessDeniedError(said, fix=f"allow {_permission(message, error)} to the worker's role")
    if code in STALE_CREDENTIALS:
        return CredentialsError(said, fix="renew the worker's AWS credentials and it goes on")
    if code in THROTTLED:
        return ThrottledError(said)
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400) >= 500:
        return UnreachableError(said)
    return NotFoundError(said) if code.endswith(("NotFoundException", "NotFound")) else RejectedError(said)


def _permission(message: str, error: ClientError) -> str:
    named = re.search(r"perform: ([\w-]+:\w+)", message)
    return named.group(1) if named else error.operation_name
