"""How a service's metrics are found in a Prometheus: the convention that names it, by its name or by one of those on ECS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runbook_model.catalog.metrics import PRESETS
from runbook_model.discovered import FoundConvention, Line, Part

SHOWN = 3
"""Series that a comment shows."""


def metrics_line(
    conventions: Iterable[FoundConvention],
    service: str,
    environment: str,
    others: Iterable[str],
    *,
    alone: bool,
) -> Line:
    """Return the line of a service's metrics.

    Args:
        conventions: those that Prometheus has series of.
        service: its name in the catalog.
        environment: that of its environment.
        others: names that it has on ECS: metrics may have them.
        alone: whether it runs in this environment only, as far as this Prometheus may know.
    """
    found = tuple(conventions)
    for convention in found:
        selector = PRESETS[convention.preset].selector  # type: ignore[index]  # the presets are where it comes from
        for name in dict.fromkeys((service, *others)):
            labels = _filled(selector, name, environment)
            if labels not in convention.series:
                continue
            value: dict[str, Part] = {"preset": convention.preset}
            if name != service:
                value["selector"] = labels
            said = f"{convention.metric} has series with {_written(labels)}"
            if not alone and labels == _filled(selector, name, "another"):
                doubt = "of which environment? add a label to selector that says it"
                return Line(key="metrics", value=value, comment=f"{said}, {doubt}", found=False)
            return Line(key="metrics", value=value, comment=said)
    return Line(key="metrics", value={"preset": "…"}, comment=f"not found: {_shown(found)}", found=False)


def _filled(selector: Mapping[str, str], service: str, environment: str) -> dict[str, str]:
    return {
        label: value.replace("{service}", service).replace("{environment}", environment)
        for label, value in selector.items()
    }


def _shown(conventions: tuple[FoundConvention, ...]) -> str:
    if not conventions:
        return "no request counter that a preset knows has series"
    first = conventions[0]
    some = "; ".join(_written(labels) for labels in first.series[:SHOWN])
    more = f" and {len(first.series) - SHOWN} more" if len(first.series) > SHOWN else ""
    return f"no series is named like it; {first.metric} (preset {first.preset}) has {some}{more}"


def _written(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{label}={value}" for label, value in labels.items())
