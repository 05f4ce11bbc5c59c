"""How a Prometheus is reached: its address, who asks, and by which headers. Secrets are named here, never held."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from runbook_model.catalog.accounts import Account, AssumedRole, AssumeRole, account_of
from runbook_model.catalog.fields import EnvironmentVariable, Policy, Url

_AWS_HOST = re.compile(
    r"(?:^|\.)(?P<service>aps-workspaces|monitoring)\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)"
    r"\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)$"
)
_SERVICES: dict[str, Literal["aps", "monitoring"]] = {"aps-workspaces": "aps", "monitoring": "monitoring"}
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection"})

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$")]


def problem_of_address(url: str) -> str | None:
    """Say what is wrong with the address of a Prometheus, to which the paths of its API are added; None if nothing is."""
    if url.partition("?")[1] or url.partition("#")[1]:
        return (
            "take out what follows the path; a secret goes to prometheus.secret_env or prometheus.header_envs"
        )
    if url.endswith("/api/v1"):
        return "take out /api/v1, which is added to it"
    return None


class PrometheusAccess(Policy):
    """Where a Prometheus is, or a store that answers as one, and how it lets the worker in."""

    url: Url = Field(description="Without `/api/v1`.")
    auth: Literal["none", "basic", "bearer", "sigv4"] = Field(
        default="none",
        description="`sigv4` signs by the environment's AWS identity: Amazon Managed Prometheus, CloudWatch.",
    )
    secret_env: EnvironmentVariable | None = Field(
        default=None,
        description="Name of the worker's variable that holds `user:password` for basic, or the token for bearer.",
    )
    secret_file: str | None = Field(
        default=None, min_length=1, description="Or the file that holds it; it is read again each time."
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, description='Further headers without secrets, such as `{ "X-Scope-OrgID" = "team-a" }`.'
    )
    header_envs: dict[HeaderName, EnvironmentVariable] = Field(
        default={},
        description="Further headers, by the names of the worker's variables that hold their values.",
    )
    sigv4_service: Literal["aps", "monitoring"] | None = Field(
        default=None, description="What requests are signed for; by default what the host says."
    )
    sigv4_region: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2}(-[a-z]+)+-\d$",
        description="And where; by default what the host says, else the environment's region.",
    )
    role_arn: AssumedRole | None = Field(
        default=None,
        description="A role of its own, which the worker's identity assumes; by default the environment's.",
    )
    ca_file: str | None = Field(
        default=None,
        min_length=1,
        description="PEM file of the authorities that its certificate may be signed by, instead of the usual ones.",
    )

    @model_validator(mode="after")
    def _fits(self) -> PrometheusAccess:
        if problems := [*self._of_secret(), *self._of_signing(), *self._of_headers()]:
            raise ValueError("\n".join(problems))
        return self

    def _of_secret(self) -> Iterator[str]:
        secrets = [name for name in ("secret_env", "secret_file") if getattr(self, name)]
        if self.auth in {"basic", "bearer"} and not secrets:
            holds = "user:password" if self.auth == "basic" else "the token"
            yield f'auth "{self.auth}" needs a secret: add secret_env = "…", the variable that holds {holds}'
        elif len(secrets) == 2:
            yield "secret_env and secret_file are one secret: remove one"
        elif secrets and self.auth in {"none", "sigv4"}:
            yield f'{secrets[0]} is for auth = "basic" or "bearer": set it, or remove {secrets[0]}'

    def _of_signing(self) -> Iterator[str]:
        if self.auth == "sigv4" and self.service is None:
            yield 'its host does not say what to sign for: add sigv4_service = "aps" or "monitoring"'
        for name in ("sigv4_service", "sigv4_region", "role_arn"):
            if self.auth != "sigv4" and getattr(self, name):
                yield f'{name} is for auth = "sigv4": set it, or remove {name}'

    def _of_headers(self) -> Iterator[str]:
        names = [name.lower() for name in (*self.headers, *self.header_envs)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"the header {name} is there twice: remove one"
        for name in self.headers:
            if name.lower() in SECRET_HEADERS:
                yield f"headers.{name} would be a secret in the catalog: use auth, or header_envs with a variable"
        taken = OURS | ({"authorization"} if self.auth != "none" else frozenset())
        for name in (*self.headers, *self.header_envs):
            if name.lower() in taken:
                yield f"the header {name} is set by the product: remove it"

    @property
    def service(self) -> Literal["aps", "monitoring"] | None:
        """What requests are signed for; None where neither the catalog nor the host says it."""
        found = _AWS_HOST.search(urlsplit(self.url).hostname or "")
        return self.sigv4_service or (_SERVICES[found["service"]] if found else None)

    def account(self, environment: str, region: str, role: AssumeRole | None) -> Account:
        """Say by whom, and for which region, requests are signed.

        Args:
            environment: whose Prometheus it is.
            region: the environment's.
            role: the environment's.
        """
        found = _AWS_HOST.search(urlsplit(self.url).hostname or "")
        where = self.sigv4_region or (found["region"] if found else region)
        return account_of(environment, where, AssumeRole(role_arn=self.role_arn) if self.role_arn else role)
