"""Prometheus: whether it answers, which conventions its request counters follow, and which services they name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from activities.http.client import http_client
from activities.prometheus.answers import NoData
from activities.prometheus.client import Stores
from runbook_model.catalog.matchers import parse_selector
from runbook_model.catalog.metrics import PRESETS, Preset
from runbook_model.catalog.prometheus import PrometheusAccess
from runbook_model.discovered import FoundConvention, FoundPrometheus
from runbook_model.errors import OutsideError

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients
    from activities.prometheus.client import Prometheus

REVISION = re.compile(r"(?P<family>[A-Za-z0-9_-]{1,255}):\d+")


async def read_prometheus(
    url: str, families: Collection[str], aws: AwsClients, region: str
) -> FoundPrometheus:
    """Ask a Prometheus which services it has requests of, by each convention.

    Args:
        url: where it is, without trailing slash.
        families: the families of task definitions, of which a release label names revisions.
        aws: whose identity signs, where it is one of AWS.
        region: of the environments that it is for.
    """
    access = PrometheusAccess(url=url)
    signed = access.service is not None
    if signed:
        access = PrometheusAccess(url=url, auth="sigv4")
    async with http_client() as http:
        prometheus = Stores(http, aws).at(access, access.account("", region, None))
        try:
            found = await asyncio.gather(
                *(_convention(prometheus, name, preset, families) for name, preset in PRESETS.items())
            )
        except OutsideError as error:
            return FoundPrometheus(url=url, signed=signed, why_not=str(error))
    return FoundPrometheus(
        url=url,
        signed=signed,
        conventions=tuple(convention for convention, _ in found if convention.series),
        release_label=next((label for _, label in found if label), None),
    )


async def _convention(
    prometheus: Prometheus, name: str, preset: Preset, families: Collection[str]
) -> tuple[FoundConvention, str | None]:
    """Return what a convention's request counter names, and its label that holds ``family:revision``."""
    labels = ", ".join(preset.selector)
    counter = _counter(preset)
    named = await prometheus.rows(f"count by ({labels}) ({counter})")
    if isinstance(named, NoData) or not named:
        return FoundConvention(preset=name, metric=preset.requests), None
    samples = await prometheus.rows(f"topk by ({labels}) (1, {counter})")
    convention = FoundConvention(
        preset=name, metric=preset.requests, series=tuple(sorted((row for row, _ in named), key=str))
    )
    for sample, _ in [] if isinstance(samples, NoData) else samples:
        for label, value in sorted(sample.items()):
            revision = REVISION.fullmatch(value)
            if revision and revision["family"] in families:
                return convention, label
    return convention, None


def _counter(preset: Preset) -> str:
    """Select the series of a convention: those that have its labels, and the one that distinguishes failures."""
    failures = parse_selector(preset.failures)
    wanted = [*preset.selector]
    if failures.metric == preset.requests:
        wanted += [matcher.label for matcher in failures.matchers]
    matchers = ", ".join(f'{label}!=""' for label in wanted)
    return f"{preset.requests}{{{matchers}}}"
