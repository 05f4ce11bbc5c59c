"""Calls of the webhook as an Alertmanager makes them, on a receiver without a socket."""

import json
from pathlib import Path

import httpx

from runbook_model.catalog.catalog import parse_catalog
from starter.webhook.application import Receiver, application
from starter.webhook.guard import Token, Tokens
from starter.webhook.incidents import NotAcceptedError

PAYLOADS = Path(__file__).parent / "unit/webhook/payloads"
TOKEN = "open-sesame-5f3a"
STAGING = "open-staging-77c1"
"""Carries alerts of staging only."""
CATALOG = parse_catalog(
    """
[environments.prod]
cluster = "ai-processor-prod"
[environments.staging]
cluster = "ai-processor-staging"
[services.ai-processor.prod]
ecs_service = "ai-processor-service-prod"
[services.ai-processor.staging]
ecs_service = "ai-processor-service-staging"
[services.shop.prod]
ecs_service = "shop"
""",
    "catalog.toml",
)


class TakesAlerts:
    """A Temporal that keeps what it is given, or is away."""

    def __init__(self) -> None:
        self.away = False
        self.deliveries = []

    async def report(self, deliveries, _seconds):
        if self.away:
            raise NotAcceptedError("Temporal is away")
        self.deliveries += deliveries

    async def reachable(self):
        return not self.away

    @property
    def alerts(self):
        return [alert for delivery in self.deliveries for batch in delivery.batches for alert in batch.alerts]


class Webhook:
    """A receiver and the Temporal behind it."""

    def __init__(self, limits=None, catalog=CATALOG) -> None:
        self.temporal = TakesAlerts()
        receiver = Receiver(
            self.temporal,
            lambda: catalog,
            Tokens([Token(TOKEN), Token("the-next-token"), Token(STAGING, "staging")]),
            limits,
        )
        self.application = application(receiver)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.application), base_url="http://webhook"
        )

    async def post(self, content, token=TOKEN, **headers):
        """Post a body; a JSON value is encoded."""
        if not isinstance(content, bytes) and not hasattr(content, "__aiter__"):
            content = json.dumps(content).encode()
        sent = {"Content-Type": "application/json", **headers}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}".encode()
        return await self.client.post("/alerts", content=content, headers=sent)


def recorded(name):
    """What a real Alertmanager sent."""
    return (PAYLOADS / f"{name}.json").read_bytes()


def an_alert(
    name="HighErrorRate", status="firing", fingerprint="0123456789abcdef", annotations=None, **labels
):
    """An alert as Alertmanager sends it; a label that is None is left out."""
    labels = {"service": "ai-processor", "environment": "prod", "severity": "warning"} | labels
    return {
        "status": status,
        "labels": {"alertname": name} | {key: value for key, value in labels.items() if value is not None},
        "annotations": annotations or {},
        "startsAt": "2026-01-01T08:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2026-01-01T09:00:00Z",
        "generatorURL": "http://prometheus.example.com/graph?g0.expr=up",
        "fingerprint": fingerprint,
    }


def a_payload(*alerts, **more):
    """A call with alerts."""
    return {
        "version": "4",
        "groupKey": '{}:{service="ai-processor"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "runbooks",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com",
        "alerts": list(alerts),
    } | more
