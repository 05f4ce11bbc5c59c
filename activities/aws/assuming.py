"""Sessions of assumed roles: started before a call and renewed before they end, never in the middle of a call.

A call that waited for STS half-way would land later than the fence around changes reckons with.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    Credentials,
    ReadOnlyCredentials,
    RefreshableCredentials,
)

from activities.aws.errors import aws_errors
from runbook_model.catalog.accounts import Account, AssumeRole
from runbook_model.errors import InputError, OutsideError

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient


RENEW_BEFORE = timedelta(minutes=5)
"""From then on it is renewed; while STS does not answer, calls continue with what there is."""
LAST_MOMENT = timedelta(minutes=1)
"""From then on no call is started without a new session."""
METHOD = "assume-role"
SAY_WHERE = ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_USE_")
"""Variables that say where calls go and how; all others of AWS say, or lead to, who makes them."""


class RoleSession(CredentialProvider):
    """The session of one environment's role."""

    METHOD = METHOD

    def __init__(self, account: Account, role: AssumeRole, sts: Callable[[], STSClient]) -> None:
        super().__init__()
        self._account = account
        self._role = role
        self._sts = sts
        self._held: RefreshableCredentials | None = None
        self._beginning = Lock()
        self._shown = _Shown()

    def renew(self) -> None:
        """Start the session, or renew it when it is about to end.

        Raises:
            InputError: the worker has no external id although the catalog names one.
            OutsideError: the role cannot be assumed; nothing else was sent.
        """
        with self._assuming():
            self._shown.now = self._credentials().get_frozen_credentials()

    def renew_whole(self) -> ReadOnlyCredentials:
        """Start the session again unless it has only started: what is done with it must last, and cannot renew it.

        Raises:
            InputError, OutsideError: as above.
        """
        with self._assuming():
            whole = round((self._role.session - LAST_MOMENT).total_seconds())
            if self._held is None or self._held.refresh_needed(whole):
                self._held = (
                    self._begin()
                )  # past the lock: other calls continue with the session that there is
            self._shown.now = self._held.get_frozen_credentials()
            return self._shown.now

    def load(self) -> Credentials:
        """Hand out what calls are signed with."""
        return self._shown

    @contextmanager
    def _assuming(self) -> Iterator[None]:
        try:
            with aws_errors(f"assume the role {self._role.role_arn}"):
                yield
        except OutsideError as error:
            error.may_have_landed = False
            raise

    def _credentials(self) -> RefreshableCredentials:
        with self._beginning:
            if self._held is None:
                self._held = self._begin()
            return self._held

    def _begin(self) -> RefreshableCredentials:
        return RefreshableCredentials.create_from_metadata(
            self._assume(),
            refresh_using=self._assume,
            method=METHOD,
            advisory_timeout=round(RENEW_BEFORE.total_seconds()),
            mandatory_timeout=round(LAST_MOMENT.total_seconds()),
        )

    def _assume(self) -> dict[str, str]:
        request: dict[str, Any] = {"ExternalId": external_id} if (external_id := self._external_id()) else {}
        answer = self._sts().assume_role(
            RoleArn=self._role.role_arn,
            RoleSessionName=self._account.session_name,
            DurationSeconds=round(self._role.session.total_seconds()),
            **request,
        )["Credentials"]
        return {
            "access_key": answer["AccessKeyId"],
            "secret_key": answer["SecretAccessKey"],
            "token": answer["SessionToken"],
            "expiry_time": answer["Expiration"].isoformat(),
        }

    def _external_id(self) -> str | None:
        name = self._role.external_id_env
        if name and not os.environ.get(name):
            raise InputError(
                f"the worker's environment has no {name}, which the role of {self._account.environment} asks for",
                fix="set it, or correct assume_role.external_id_env in the catalog",
            )
        return os.environ[name] if name else None


class _Shown(Credentials):
    """Credentials as they were before the call: to sign with them never asks STS."""

    def __init__(self) -> None:
        super().__init__("", "", method=METHOD)
        self.now = ReadOnlyCredentials("", "", None)

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return them."""
        return self.now


def session_of(provider: RoleSession, own: botocore.session.Session) -> botocore.session.Session:
    """Make a session of botocore that signs by a role alone; it shares the models that the worker's own has read."""
    session = botocore.session.get_session()
    session.register_component("credential_provider", CredentialResolver([provider]))
    session.register_component("data_loader", own.get_component("data_loader"))
    return session


def environment_of(session: ReadOnlyCredentials, region: str, ours: Mapping[str, str]) -> dict[str, str]:
    """Make the environment of a program that calls AWS by a session alone, whoever we are ourselves.

    Args:
        session: what it signs with, for as long as it lasts.
        region: where its calls go.
        ours: our own environment.
    """
    others = {
        name: value
        for name, value in ours.items()
        if not name.startswith("AWS_") or name.startswith(SAY_WHERE)
    }
    return others | {
        "AWS_ACCESS_KEY_ID": session.access_key or "",
        "AWS_SECRET_ACCESS_KEY": session.secret_key or "",
        "AWS_SESSION_TOKEN": session.token or "",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        # Left out, the files of our home folder would count, and the identities that they name.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
