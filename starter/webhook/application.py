"""The receiver as an ASGI application: ``POST /alerts`` and ``GET /healthz``, with the catalog as its file is at each call."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from runbook_model.catalog.catalog import Catalog, load_catalog
from runbook_model.catalog.incident_policy import matrix_of
from runbook_model.catalog.policies import AlertRule
from runbook_model.errors import CatalogError
from starter.webhook.guard import (
    Limits,
    Rate,
    Refusal,
    Tokens,
    Turns,
    check_content,
    no_such_place,
    read_body,
    refused,
)
from starter.webhook.incidents import Incidents, NotAcceptedError
from starter.webhook.payload import PayloadError, parse_notification
from starter.webhook.routing import Delivery, route

TRY_AGAIN_SECONDS = 5.0

INCIDENTS_COUNTED = 1000

_log = logging.getLogger(__name__)


class CatalogFile:
    """A catalog that is read again when its file has changed; while that is wrong, what was read last counts."""

    def __init__(self, path: Path, packaged: tuple[AlertRule, ...] = ()) -> None:
        """Read it for the first time.

        Args:
            path: the file.
            packaged: rows of the alert matrix that installed packages bring, for a catalog that has none.

        Raises:
            CatalogError: it cannot be read, or is wrong.
        """
        self._path = path
        self._packaged = packaged
        self._seen = self._stamp()
        self._catalog = self._load()

    def current(self) -> Catalog:
        """Return the catalog as it is now, or as it last was right."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._catalog = self._load()
            except CatalogError as error:
                _log.warning(
                    "the catalog is invalid; its last valid version is used", extra={"error": str(error)}
                )
            else:
                _log.info("the catalog has changed")
        return self._catalog

    def _load(self) -> Catalog:
        catalog = load_catalog(self._path)
        return catalog.model_copy(update={"alerts": matrix_of(catalog, self._packaged)})

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


class Receiver:
    """Takes alerts: what it answers with 200, Temporal has."""

    def __init__(
        self,
        incidents: Incidents,
        catalog: Callable[[], Catalog],
        tokens: Tokens,
        limits: Limits | None = None,
    ) -> None:
        self._incidents = incidents
        self._catalog = catalog
        self._tokens = tokens
        self._limits = limits or Limits()
        self._incident_rates: dict[str, tuple[Rate, Rate]] = {}
        self._shares: defaultdict[str | None, tuple[Rate, Turns]] = defaultdict(self._share)
        """Of each environment that has a token of its own, so that none silences another."""

    def _share(self) -> tuple[Rate, Turns]:
        limits = self._limits
        return Rate(limits.calls_per_second, limits.burst), Turns(limits.at_once, limits.wait_seconds)

    def _count(self, deliveries: list[Delivery]) -> None:
        """Count what each incident gets.

        Raises:
            Refusal: 503, where one gets so much that its history would not bear it.
        """
        for delivery in deliveries:
            known = self._incident_rates.pop(delivery.incident, None)
            calls, size = known or self._incident_rate()
            self._incident_rates[delivery.incident] = calls, size  # the last is the newest
            if len(self._incident_rates) > INCIDENTS_COUNTED:
                del self._incident_rates[next(iter(self._incident_rates))]
            calls.take(1, f"calls for {delivery.incident}")
            size.take(delivery.size, f"alerts for {delivery.incident}")

    def _incident_rate(self) -> tuple[Rate, Rate]:
        limits = self._limits
        return (
            Rate(limits.incident_calls_per_second, limits.incident_calls_burst),
            Rate(limits.incident_bytes_per_second, limits.incident_bytes_burst),
        )

    async def alerts(self, request: Request) -> JSONResponse:
        """Answer one call of Alertmanager, and log it in one line."""
        started = time.monotonic()
        deliveries: list[Delivery] = []
        reason = None
        try:
            deliveries = await self._take(request)
            answer = JSONResponse(_accepted(deliveries))
        except Refusal as refusal:
            reason = str(refusal)
            answer = refused(refusal)
        except ClientDisconnect:
            reason = "the caller hung up"
            answer = refused(Refusal(400, reason))
        except Exception as error:  # noqa: BLE001 - whatever it is, the alerts are not taken and must be sent again
            _log.exception("a bug in the webhook")
            reason = type(error).__name__
            answer = refused(Refusal(503, "a bug in the webhook", retry_after=TRY_AGAIN_SECONDS))
        facts = {
            "status": answer.status_code,
            **_accepted(deliveries),
            "seconds": round(time.monotonic() - started, 4),
            "from": request.client.host if request.client else None,
            "reason": reason,
        }
        _log.log(logging.WARNING if reason else logging.INFO, "alerts", extra=facts)
        return answer

    async def health(self, _: Request) -> JSONResponse:
        """Say whether alerts would be taken now."""
        reachable = await self._incidents.reachable()
        status = {"status": "ok" if reachable else "unavailable", "temporal": reachable}
        return JSONResponse(status, 200 if reachable else 503)

    async def _take(self, request: Request) -> list[Delivery]:
        bound_to = self._tokens.check(request.headers.get("authorization", "").encode("latin-1"))
        rate, turns = self._shares[bound_to]
        rate.take()
        async with turns.turn():
            check_content(request)
            body = await read_body(request, self._limits)
            try:
                notification = parse_notification(body)
                deliveries = route(notification, self._catalog(), datetime.now(UTC), bound_to)
                self._count(deliveries)
                await self._incidents.report(deliveries, self._limits.delivery_seconds)
            except PayloadError as error:
                raise Refusal(error.status, str(error)) from None
            except NotAcceptedError as error:
                raise Refusal(503, str(error), retry_after=TRY_AGAIN_SECONDS) from None
            return deliveries


def application(receiver: Receiver) -> Starlette:
    """Put the receiver at its addresses."""
    return Starlette(
        routes=[
            Route("/alerts", receiver.alerts, methods=["POST"]),
            Route("/healthz", receiver.health, methods=["GET"]),
        ],
        exception_handlers=no_such_place("POST /alerts and GET /healthz"),
    )


def _accepted(deliveries: list[Delivery]) -> dict[str, object]:
    return {
        "alerts": sum(delivery.alerts for delivery in deliveries),
        "incidents": {delivery.incident: delivery.alerts for delivery in deliveries},
    }
