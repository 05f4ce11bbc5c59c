"""Requests to AWS that no client of boto3 makes: signed by Signature Version 4."""

from __future__ import annotations

from collections.abc import Mapping

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials

SIGNED = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")


def signature(
    credentials: ReadOnlyCredentials,
    scope: tuple[str, str],
    method: str,
    url: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str],
) -> dict[str, str]:
    """Return the headers that sign a request.

    Args:
        credentials: whose.
        scope: the service and the region that it is signed for.
        method: of the request.
        url: with its query, encoded as it is sent.
        body: of the request.
        headers: those that are signed too.
    """
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    held = Credentials(credentials.access_key or "", credentials.secret_key or "", credentials.token)
    SigV4Auth(held, *scope).add_auth(request)
    return {name: request.headers[name] for name in SIGNED if name in request.headers}
