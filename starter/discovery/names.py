"""Names of environments and services, made of the names that clusters and services have on ECS."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

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
