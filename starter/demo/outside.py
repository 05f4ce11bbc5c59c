"""The world outside as a story sees it: Prometheus, the service itself, and the log of AWS calls."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

SECONDS = 5.0
PROBES = 40
FEWEST = 20
"""Requests that a measurement needs."""
READS = ("Describe", "List", "Get", "Filter")
LEDGER = ("TagResource", "UntagResource")


@dataclass(frozen=True)
class ErrorRate:
    """A measured share of failed requests."""

    share: float
    requests: int

    def __str__(self) -> str:
        return f"{self.share:.1%} of {self.requests} requests failed"


@dataclass(frozen=True)
class AwsCall:
    """One call that somebody made."""

    at: datetime
    action: str
    parameters: Mapping[str, Any]
    error: str | None

    @property
    def changes(self) -> bool:
        """Whether it changes what runs: neither a read nor a mark in the ledger of releases."""
        return not self.action.startswith(READS) and self.action not in LEDGER


@dataclass(frozen=True)
class SlackMessage:
    """One message that arrived."""

    thread: str
    """What the first message of its thread is known by."""
    mark: str
    text: str
    headline: str
    """What a phone shows of it."""

    @property
    def number(self) -> int:
        """Its place among the messages of its incident, from 1 on."""
        return int(self.mark.rpartition("#")[2])

    @property
    def is_repeat(self) -> bool:
        """Whether it says itself that it may be one."""
        return "maybe a repeat" in self.text


def measure(addresses: Mapping[str, Any], service: str, environment: str) -> ErrorRate | None:
    """Measure the error rate of the last 10 seconds; None while nothing can be said."""
    if addresses["prometheus"] is None:
        return _probe(_url(addresses, service, environment))
    labels = _labels(service, environment)
    requests = _query(addresses["prometheus"], f"sum(increase(http_requests_total{labels}[10s]))")
    errors = _query(addresses["prometheus"], f"sum(increase(http_errors_total{labels}[10s]))")
    if requests is None or requests < FEWEST:
        return None
    return ErrorRate((errors or 0.0) / requests, round(requests))


def measure_p95(addresses: Mapping[str, Any], service: str, environment: str) -> float | None:
    """Measure the seconds in which 95 % of the last 10 seconds' requests were answered; None without any."""
    buckets = f"http_request_duration_seconds_bucket{_labels(service, environment)}[10s]"
    return _query(addresses["prometheus"], f"histogram_quantile(0.95, sum by (le) (rate({buckets}))) >= 0")


def measure_usual(addresses: Mapping[str, Any], service: str, environment: str) -> float | None:
    """Measure what is usual, as a share of today's requests per second: the first seconds of a sandbox count less and less."""
    now = f"sum(rate(http_requests_total{_labels(service, environment)}[10s]))"
    return _query(addresses["prometheus"], f"quantile_over_time(0.5, ({now})[2m:10s] offset 20s) / {now}")


def measure_memory(addresses: Mapping[str, Any], service: str, environment: str) -> float | None:
    """Measure the share of its memory that the fullest task uses; None while nothing can be said."""
    labels = _labels(service, environment)
    used, limit = f"container_memory_usage_bytes{labels}", f"container_spec_memory_limit_bytes{labels}"
    return _query(addresses["prometheus"], f"max({used} / {limit})")


def is_healthy(addresses: Mapping[str, Any], service: str, environment: str) -> bool:
    """Ask the service for its health, as its users reach it."""
    try:
        _get(f"{_url(addresses, service, environment)}/health")
    except (HTTPError, TimeoutError):
        return False
    return True


def alerts_firing(alertmanager: str) -> set[tuple[str, str, str]]:
    """Name what Alertmanager holds that fires: alert, service and environment."""
    labels = [alert["labels"] for alert in json.loads(_get(f"{alertmanager}/api/v2/alerts?active=true"))]
    return {(label["alertname"], label.get("service", ""), label.get("environment", "")) for label in labels}


def slack_messages(slack: str) -> list[SlackMessage]:
    """Read what arrived in the sandbox's Slack, oldest first."""
    return [
        SlackMessage(
            thread=load.get("thread_ts") or load["ts"],
            mark=load["metadata"]["event_payload"]["mark"],
            text="\n".join(_block_text(block) for block in load["blocks"]),
            headline=load["text"],
        )
        for load in json.loads(_get(f"{slack}/_sandbox/messages"))
    ]


def set_load(addresses: Mapping[str, Any], environment: str, requests_per_second: float) -> None:
    """Have clients send so many requests from now on."""
    body = json.dumps({"environment": environment, "requests_per_second": requests_per_second}).encode()
    with urlopen(_post(f"{addresses['aws']}/_sandbox/load", body), timeout=SECONDS):  # noqa: S310 - the sandbox's own address
        return


def aws_calls(aws: str, since: datetime) -> list[AwsCall]:
    """Read the calls that were made since a moment."""
    calls = [
        AwsCall(datetime.fromisoformat(call["time"]), call["action"], call["parameters"], call["error"])
        for call in json.loads(_get(f"{aws}/_sandbox/calls"))
        if call["action"]
    ]
    return [call for call in calls if call.at >= since]


def _block_text(block: Mapping[str, Any]) -> str:
    parts = [block["text"]] if "text" in block else block["elements"]
    return " ".join(part["text"] for part in parts)


def _url(addresses: Mapping[str, Any], service: str, environment: str) -> str:
    """Return where users reach a service, by the sandbox's catalog."""
    catalog = tomllib.loads(Path(addresses["catalog"]).read_text())
    url: str = catalog["services"][service][environment]["url"]
    return url


def _labels(service: str, environment: str) -> str:
    return f'{{service="{service}",environment="{environment}"}}'


def _query(prometheus: str, query: str) -> float | None:
    answer = json.loads(_get(f"{prometheus}/api/v1/query?{urlencode({'query': query})}"))
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else None


def _probe(url: str) -> ErrorRate:
    body = json.dumps({"test": "data"}).encode()
    failed = sum(_fails(url, body) for _ in range(PROBES))
    return ErrorRate(failed / PROBES, PROBES)


def _fails(url: str, body: bytes) -> bool:
    try:
        with urlopen(_post(f"{url}/api/v1/process", body), timeout=SECONDS):  # noqa: S310 - the sandbox's own address
            return False
    except HTTPError:
        return True


def _post(url: str, body: bytes) -> Request:
    return Request(url, data=body, headers={"content-type": "application/json"})  # noqa: S310 - the sandbox's own address


def _get(url: str) -> bytes:
    with urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - the sandbox's own address
        body: bytes = answer.read()
        return body
