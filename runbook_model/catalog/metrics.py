"""By which names a service's requests, failures and latency are found: a preset is a row of names, and each can be overridden.

Every query is written over a ``Convention``: what a preset, the catalog's overrides and the target's names come to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from runbook_model.catalog.fields import IgnoredRequests, Policy
from runbook_model.catalog.matchers import (
    Matcher,
    Selector,
    label_name,
    parse_matcher,
    parse_selector,
    quoted,
)
from runbook_model.text.sentences import did_you_mean

PresetName = Literal["runbook", "spring", "otel", "promhttp", "fastapi", "envoy", "traefik", "istio"]
Unit = Literal["seconds", "milliseconds"]
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SUFFIX = re.compile(r"_(bucket|sum|count)$")


@dataclass(frozen=True)
class Preset:
    """What one convention names its metrics and labels."""

    requests: str
    """The counter of requests."""
    failures: str
    """A counter of its own, or the same with a matcher."""
    latency: str
    """The histogram, without ``_bucket``."""
    selector: Mapping[str, str]
    """Labels that find the service."""
    endpoint: str | None
    """The label that says what was asked for; None where there is none."""
    kind: str
    """The label that says what kind of failure it was."""
    unit: Unit = "seconds"
    buckets: str = ""
    """The setting without which the library writes no histogram."""


PRESETS: Mapping[PresetName, Preset] = MappingProxyType(
    {
        "runbook": Preset(
            "http_requests_total",
            "http_errors_total",
            "http_request_duration_seconds",
            {"service": "{service}", "environment": "{environment}"},
            endpoint="endpoint",
            kind="type",
        ),
        "spring": Preset(
            "http_server_requests_seconds_count",
            'http_server_requests_seconds_count{outcome="SERVER_ERROR"}',
            "http_server_requests_seconds",
            {"application": "{service}"},
            endpoint="uri",
            kind="exception",
            buckets="management.metrics.distribution.percentiles-histogram.http.server.requests=true",
        ),
        "otel": Preset(
            "http_server_request_duration_seconds_count",
            'http_server_request_duration_seconds_count{http_response_status_code=~"5.."}',
            "http_server_request_duration_seconds",
            {"job": "{service}"},
            endpoint="http_route",
            kind="error_type",
        ),
        "promhttp": Preset(
            "http_requests_total",
            'http_requests_total{code=~"5.."}',
            "http_request_duration_seconds",
            {"job": "{service}"},
            endpoint="handler",
            kind="code",
        ),
        "fastapi": Preset(
            "http_requests_total",
            'http_requests_total{status=~"5.."}',
            "http_request_duration_seconds",
            {"job": "{service}"},
            endpoint="handler",
            kind="status",
        ),
        "envoy": Preset(
            # Not upstream_rq_total: Envoy's own 503, where no host is healthy, is in this one only.
            "envoy_cluster_upstream_rq_xx",
            'envoy_cluster_upstream_rq_xx{envoy_response_code_class="5"}',
            "envoy_cluster_upstream_rq_time",
            {"envoy_cluster_name": "{service}"},
            endpoint=None,
            kind="envoy_response_code_class",
            unit="milliseconds",
        ),
        "traefik": Preset(
            "traefik_service_requests_total",
            'traefik_service_requests_total{code=~"5.."}',
            "traefik_service_request_duration_seconds",
            {"service": "{service}@ecs"},
            endpoint=None,
            kind="code",
        ),
        "istio": Preset(
            "istio_requests_total",
            'istio_requests_total{response_code=~"5.."}',
            "istio_request_duration_milliseconds",
            {"destination_service_name": "{service}", "reporter": "destination"},
            endpoint=None,
            kind="response_code",
            unit="milliseconds",
        ),
    }
)


def _is_known(name: Any) -> Any:
    if isinstance(name, str) and name not in PRESETS:
        raise ValueError(
            f"no such preset{did_you_mean(name, PRESETS)}; there are: {', '.join(get_args(PresetName))}"
        )
    return name


def _is_selector(text: str) -> str:
    parse_selector(text)
    return text


def _is_histogram(text: str) -> str:
    if found := _SUFFIX.search(parse_selector(text).metric):
        raise ValueError(f"is one series of a histogram: name it without {found[0]}")
    return text


def _finds_a_service(labels: dict[str, str]) -> dict[str, str]:
    if not labels:
        raise ValueError('finds every service: name at least one label, such as { job = "{service}" }')
    for label, value in labels.items():
        parse_matcher(f"{label_name(label)}={quoted(value)}")
        for name in _PLACEHOLDER.findall(value):
            if name not in {"service", "environment"}:
                raise ValueError(f"{label}: {{{name}}} is not filled in: use {{service}} or {{environment}}")
    return labels


PromqlSelector = Annotated[str, AfterValidator(_is_selector)]
Histogram = Annotated[str, AfterValidator(_is_histogram)]
Labels = Annotated[dict[str, str], AfterValidator(_finds_a_service)]
LabelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\"\\]+$")]


@dataclass(frozen=True)
class Convention:
    """By what names one target's requests, failures and latency are found."""

    preset: PresetName
    requests: Selector
    failures: Selector
    by_status: bool
    """Whether failures are found by any label with the HTTP status too, where they have no counter of their own."""
    latency: Selector | None
    """The histogram; None where latency is not known."""
    native: bool
    """Whether the histogram is native: then counts come from it too."""
    unit: Unit
    labels: Mapping[str, str]
    """Those that find the service, filled in."""
    scoped: bool
    """Whether the service's own metrics show these labels, where they show them at all."""
    ignore: tuple[Matcher, ...]
    endpoint: str | None
    kind: str
    buckets: str = field(default="", compare=False)

    @property
    def by_matcher(self) -> bool:
        """Whether failures are a part of the request counter, and have no counter of their own."""
        return self.failures.metric == self.requests.metric

    @property
    def failing(self) -> tuple[Matcher, ...]:
        """Which requests are failures, where a matcher distinguishes them."""
        return tuple(matcher for matcher in self.failures.matchers if matcher not in self.requests.matchers)

    def counts_natively(self, series: Selector) -> bool:
        """Whether a series counts by a native histogram."""
        return self.native and self.latency is not None and series.metric == self.latency.metric


class Metrics(Policy):
    """How the service's metrics are read."""

    preset: Annotated[PresetName, BeforeValidator(_is_known)] = Field(
        default="runbook", description="The naming that counts wherever no other key says otherwise."
    )
    selector: Labels | None = Field(
        default=None,
        description="Labels that find the service, by name; `{service}` and `{environment}` are filled in.",
    )
    requests: PromqlSelector | None = Field(
        default=None,
        description="PromQL selector of the counter of requests, without functions; UTF-8 names in quotes.",
    )
    failures: PromqlSelector | None = Field(
        default=None,
        description="PromQL selector of the requests that failed: a counter of its own, or the request counter with a matcher.",
    )
    latency: Histogram | None = Field(
        default=None, description="PromQL selector of the histogram of response times, without `_bucket`."
    )
    latency_kind: Literal["classic", "native", "none"] = Field(
        default="classic",
        description="`native`: counts of requests come from the histogram too. "
        "`none`: latency is not known, and does not stand in the way of recovered.",
    )
    latency_unit: Unit | None = Field(default=None, description="Of the histogram; by default the preset's.")
    ignore: tuple[IgnoredRequests, ...] = Field(
        default=(),
        description='PromQL matchers of requests that no user made, such as `path=~"/health.*"`; '
        "each is negated by itself in every query of requests, errors and latency.",
    )
    endpoint_label: LabelName | None = Field(
        default=None, description="The label that says what was asked for, such as `uri`."
    )
    type_label: LabelName | None = Field(
        default=None, description="The label that says what kind of failure it was, such as `exception`."
    )
    release_label: LabelName | None = Field(
        default=None, description="As the environment's `release_label`, and wins over it."
    )

    def convention(self, service: str, environment: str) -> Convention:
        """Return what the preset and the overrides come to, for one target."""
        preset = PRESETS[self.preset]
        histogram = parse_selector(self.latency or preset.latency)
        native = self.latency_kind == "native"
        requests = parse_selector(self.requests or preset.requests)
        if native and self.requests is None:
            requests = histogram
        names = {"{service}": service, "{environment}": environment}
        labels = {
            label: _PLACEHOLDER.sub(lambda found: names[found[0]], value)
            for label, value in (self.selector or preset.selector).items()
        }
        return Convention(
            preset=self.preset,
            requests=requests,
            failures=parse_selector(self.failures) if self.failures else _failures(preset, requests),
            by_status=self.preset == "runbook" and self.failures is None,
            latency=None if self.latency_kind == "none" else histogram,
            native=native,
            unit=self.latency_unit or preset.unit,
            labels=labels,
            scoped=self.preset != "runbook" or self.selector is not None,
            ignore=tuple(parse_matcher(text) for text in self.ignore),
            endpoint=self.endpoint_label or preset.endpoint,
            kind=self.type_label or preset.kind,
            buckets="" if self.latency else preset.buckets,
        )


def _failures(preset: Preset, requests: Selector) -> Selector:
    """Return the preset's failures, of whatever the requests are counted by if they are a part of them."""
    failures = parse_selector(preset.failures)
    if failures.metric == parse_selector(preset.requests).metric:
        return requests.where(*failures.matchers)
    return failures
