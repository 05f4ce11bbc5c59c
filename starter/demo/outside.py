"""The world outside as a story sees it: Prometheus, the service itself, and the log of AWS calls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = 5.0
PROBES = 40
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


def measure(addresses: Mapping[str, Any], service: str, environment: str) -> ErrorRate | None:
    """Measure the error rate of the last 10 seconds; None while nothing can be said."""
    if addresses["prometheus"] is None:
        return _probe(addresses["service"][environment])
    labels = f'{{service="{service}",environment="{environment}"}}[10s]'
    requests = _query(addresses["prometheus"], f"sum(increase(http_requests_total{labels}))")
    errors = _query(addresses["prometheus"], f"sum(increase(http_errors_total{labels}))")
    if requests is None or requests < 20:
        return None
    return ErrorRate((errors or 0.0) / requests, round(requests))


def aws_calls(aws: str, since: datetime) -> list[AwsCall]:
    """Read the calls that were made since a moment."""
    calls = [
        AwsCall(datetime.fromisoformat(call["time"]), call["action"], call["parameters"], call["error"])
        for call in json.loads(_get(f"{aws}/_sandbox/calls"))
        if call["action"]
    ]
    return [call for call in calls if call.at >= since]


def _query(prometheus: str, query: str) -> float | None:
    answer = json.loads(_get(f"{prometheus}/api/v1/query?{urlencode({'query': query})}"))
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else None


def _probe(url: str) -> ErrorRate:
    body = json.dumps({"test": "data"}).encode()
    failed = sum(_fails(url, body) for _ in range(PROBES))
    return ErrorRate(failed / PROBES, PROBES)


def _fails(url: str, body: bytes) -> bool:
    request = Request(f"{url}/api/v1/process", data=body, headers={"content-type": "application/json"})  # noqa: S310 - the sandbox's own address
    try:
        with urlopen(request, timeout=SECONDS):  # noqa: S310 - as above
            return False
    except HTTPError:
        return True


def _get(url: str) -> bytes:
    with urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - the sandbox's own address
        body: bytes = answer.read()
        return body
