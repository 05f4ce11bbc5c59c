"""How a Prometheus lets the worker in: credentials, headers and signatures.

Secrets are read for each request, from the worker's environment or a file, and are in no error, log or history.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runbook_model.catalog.accounts import Account
from runbook_model.catalog.prometheus import PrometheusAccess
from runbook_model.errors import AccessDeniedError, InputError
from runbook_model.text.redaction import HIDDEN

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients

MAY_QUERY = {
    "aps": "aps:QueryMetrics, aps:GetSeries, aps:GetLabels and aps:GetMetricMetadata",
    "monitoring": "cloudwatch:GetMetricData and cloudwatch:ListMetrics",
}


class Entry:
    """What lets the worker into one Prometheus."""

    def __init__(self, aws: AwsClients | None, access: PrometheusAccess, account: Account) -> None:
        self._aws = aws
        self._access = access
        self._account = account

    @property
    def signs(self) -> bool:
        """Whether requests are signed, and so have to be sent exactly as they were signed."""
        return self._access.auth == "sigv4"

    async def headers(self, method: str, url: str, body: bytes, sent: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of a request.

        Args:
            method: of the request.
            url: with its query, encoded as it is sent.
            body: of the request.
            sent: headers that it has anyway.

        Raises:
            OutsideError: a secret is not there, or the role cannot be assumed.
        """
        access = self._access
        headers = dict(access.headers)
        headers |= {name: _variable(variable) for name, variable in access.header_envs.items()}
        if access.auth == "basic":
            headers["Authorization"] = f"Basic {base64.b64encode(self._secret().encode()).decode()}"
        elif access.auth == "bearer":
            headers["Authorization"] = f"Bearer {self._secret()}"
        elif access.auth == "sigv4":
            headers |= await self._signature(method, url, body, sent)
        return headers

    async def _signature(self, method: str, url: str, body: bytes, sent: Mapping[str, str]) -> dict[str, str]:
        assert self._aws
        assert self._access.service
        try:
            return await asyncio.to_thread(
                self._aws.signature, self._account, self._access.service, method, url, body=body, headers=sent
            )
        except InputError as error:
            raise AccessDeniedError(error.message, fix=error.fix) from error

    def _secret(self) -> str:
        if name := self._access.secret_env:
            return _variable(name)
        path = Path(self._access.secret_file or "")
        try:
            return _printable(path.read_text(encoding="utf-8").strip(), f"the file {path}")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise AccessDeniedError(
                f"could not read the secret of Prometheus in {path}: {why}",
                fix="correct prometheus.secret_file in the catalog",
            ) from None

    def hide(self, text: str) -> str:
        """Take the secrets out of what the other side says, which may repeat what it was sent."""
        variables = [self._access.secret_env, *self._access.header_envs.values()]
        secrets = [os.environ.get(name, "").strip() for name in variables if name]
        if self._access.secret_file:
            secrets.append(self._secret())
        for secret in filter(None, secrets):
            text = text.replace(base64.b64encode(secret.encode()).decode(), HIDDEN).replace(secret, HIDDEN)
        return text

    def fix_for(self, status: int, said: str) -> str:
        """Say what to do about an answer that lets nobody in."""
        access = self._access
        holds = access.secret_env or access.secret_file
        if access.service and access.auth == "sigv4":
            who = (
                f"the role {self._account.role.role_arn}"
                if self._account.role
                else "the worker's AWS identity"
            )
            return f"allow {who} {MAY_QUERY[access.service]}, for {access.service} in {self._account.region}"
        if "org id" in said.lower() or "tenant" in said.lower():
            return 'name the tenant in prometheus.headers: { "X-Scope-OrgID" = "…" }'
        if access.auth == "none" and not access.header_envs:
            return 'set prometheus.auth = "basic", "bearer" or "sigv4" in the catalog, with its secret'
        if status == 403:
            return "allow the worker's user to query there"
        return f"correct what {holds or ' and '.join(access.header_envs.values())} holds, or prometheus.auth"


def _variable(name: str) -> str:
    if not os.environ.get(name):
        raise AccessDeniedError(
            f"the worker's environment has no {name}, which the catalog's prometheus names",
            fix="set it, or correct the name in the catalog",
        )
    return _printable(os.environ[name].strip(), name)


def _printable(secret: str, where: str) -> str:
    """Return a secret that can be a header; an error of the client would show one that cannot."""
    if secret and secret.isascii() and secret.isprintable():
        return secret
    raise AccessDeniedError(
        f"{where} holds what cannot be a header: it is empty, or has line breaks or letters beyond ASCII",
        fix="correct what it holds",
    )
