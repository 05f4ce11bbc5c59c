"""Every Prometheus of the catalog, as the worker reaches it."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from activities.http.client import http_client
from activities.prometheus.access import Entry
from activities.prometheus.client import Prometheus
from runbook_model.catalog.accounts import Account
from runbook_model.catalog.prometheus import PrometheusAccess
from runbook_model.catalog.target import Target
from runbook_model.errors import AccessDeniedError

if TYPE_CHECKING:
    import httpx

    from activities.aws.clients import AwsClients


class Stores:
    """Every Prometheus that the worker asks."""

    def __init__(self, http: httpx.AsyncClient, aws: AwsClients | None) -> None:
        self._http = http
        self._aws = aws
        self._trusting = cache(_client_that_trusts)

    def of(self, target: Target) -> Prometheus | None:
        """Return a target's; None where the catalog names none."""
        if target.store is None:
            return None
        return self.at(
            target.store, target.store.account(target.environment, target.region, target.assume_role)
        )

    def at(self, access: PrometheusAccess, account: Account) -> Prometheus:
        """Return the one that is reached in some way, and asked by somebody."""
        return Prometheus(lambda: self._client(access), access.url, Entry(self._aws, access, account))

    def _client(self, access: PrometheusAccess) -> httpx.AsyncClient:
        """Return the client for it: one of its own where it has its own authorities, read again when the file changes."""
        if access.ca_file is None:
            return self._http
        try:
            return self._trusting(access.ca_file, Path(access.ca_file).stat().st_mtime_ns)
        except OSError as error:
            raise AccessDeniedError(
                f"could not read the authorities in {access.ca_file}: {error.strerror or 'it is not PEM'}",
                fix="correct prometheus.ca_file in the catalog",
            ) from None


def _client_that_trusts(ca_file: str, changed: int) -> httpx.AsyncClient:  # noqa: ARG001 - a part of the key
    return http_client(ssl.create_default_context(cafile=ca_file))
