"""Names in the catalog, made of those that clusters and services have on ECS, and how their metrics are found in a Prometheus."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from runbook_model.catalog.metrics import PRESETS
from runbook_model.discovered import FoundConvention, Line, Part
from starter.exits import bad_input

SYNONYMS = (
    ("prod", "production", "prd", "live"),
    ("staging", "stage", "stg"),
    ("dev", "development"),
    ("test", "testing"),
    ("qa",),
    ("uat",),
    ("preprod",),
    ("preview",),
    ("sandbox",),
    ("demo",),
)
"""Words for an environment; those in a line mean the same."""
SYNONYMS_OF = {word: words for words in SYNONYMS for word in words}
GENERIC = ("service", "svc")
"""Words that many names of services end with, and that say nothing."""
LONGEST = 63
SHOWN = 3
"""Series that a comment shows."""


class Name(NamedTuple):
    """A name of the catalog, and what it was made of."""

    name: str
    why: str


def name_environments(clusters: Sequence[str], given: str | None) -> dict[str, Name]:
    """Name the environment of each cluster.

    Args:
        clusters: names on ECS.
        given: what a person said; it is for one cluster.

    Raises:
        CliError: one name was given for several clusters.
    """
    if given is not None:
        if len(clusters) != 1:
            raise bad_input(
                f"--environment {given} is for one cluster, and there are {len(clusters)}: {', '.join(clusters)}",
                "name one with --cluster",
            )
        return {clusters[0]: Name(given, "given by --environment")}
    found = {cluster: _environment_in(cluster) for cluster in clusters}
    counts = Counter(environment for environment in found.values() if environment)
    named: dict[str, Name] = {}
    for cluster, environment in found.items():
        if environment and counts[environment] == 1:
            named[cluster] = Name(environment, f'"{environment}" in the name of cluster {cluster}')
        else:
            several = f'several clusters have "{environment}" in their names'
            why = several if environment else "its name says no environment"
            name = _unique(slug(_words(cluster)), (other.name for other in named.values()))
            named[cluster] = Name(name, f"the name of cluster {cluster}: {why}; --environment gives another")
    return named


def name_services(services: Sequence[str], environment: str) -> dict[str, Name]:
    """Name the services of one environment: the same app has the same name in the next one."""
    short = {service: slug(_without_environment(_words(service), environment)) for service in services}
    counts = Counter(short.values())
    named: dict[str, Name] = {}
    for service in services:
        name, whole = short[service], slug(_words(service))
        if counts[name] > 1:
            name = whole
        name = _unique(name, (other.name for other in named.values()))
        if name == service:
            why = "its name on ECS"
        elif name == whole:
            why = f"made of {service}"
        else:
            why = f"made of {service}, without environment and service"
        named[service] = Name(name, why)
    return named


def slug(words: Iterable[str]) -> str:
    """Join words to a name that the catalog accepts."""
    return "-".join(words)[:LONGEST].strip("-") or "unnamed"


def _words(name: str) -> list[str]:
    hyphenated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", hyphenated) if word]


def _environment_in(cluster: str) -> str | None:
    """Return the word for an environment that a cluster's name ends or starts with."""
    words = _words(cluster)
    return next((word for word in (words[-1:] + words[:1]) if word in SYNONYMS_OF), None)


def _without_environment(words: list[str], environment: str) -> list[str]:
    """Remove at both ends the words for the environment, and then "service"; one word always remains."""
    synonyms = {environment, *(same for word in _words(environment) for same in SYNONYMS_OF.get(word, ()))}
    rest = list(words)
    while len(rest) > 1 and rest[-1] in synonyms:
        rest.pop()
    while len(rest) > 1 and rest[0] in synonyms:
        rest.pop(0)
    while len(rest) > 1 and rest[-1] in GENERIC:
        rest.pop()
    return rest


def _unique(name: str, used: Iterable[str]) -> str:
    """Return the name, with a number after it where it is used already."""
    others, number, unique = {*used}, 1, name
    while unique in others:
        number += 1
        unique = f"{name[: LONGEST - 4]}-{number}"
    return unique


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
