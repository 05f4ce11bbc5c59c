"""Names of environments and services, made of the names that clusters and services have on ECS."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from starter.exits import bad_input

SAME = (
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
"""Words that say which environment something is, and mean the same."""
WORDS = {word: family for family in SAME for word in family}
NOTHING_OF_ITS_OWN = ("service", "svc")
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
    words = {cluster: _environment_word(cluster) for cluster in clusters}
    taken = Counter(word for word in words.values() if word)
    named: dict[str, Name] = {}
    for cluster, word in words.items():
        if word and taken[word] == 1:
            named[cluster] = Name(word, f'"{word}" in the name of cluster {cluster}')
        else:
            why = f'several clusters have "{word}" in their names' if word else "its name says no environment"
            name = _numbered(slug(_words(cluster)), (other.name for other in named.values()))
            named[cluster] = Name(name, f"the name of cluster {cluster}: {why}; --environment gives another")
    return named


def name_services(services: Sequence[str], environment: str) -> dict[str, Name]:
    """Name the services of one environment: the same app has the same name in the next one."""
    short = {service: slug(_without_environment(_words(service), environment)) for service in services}
    taken = Counter(short.values())
    named: dict[str, Name] = {}
    for service in services:
        name, whole = short[service], slug(_words(service))
        if taken[name] > 1:
            name = whole
        name = _numbered(name, (other.name for other in named.values()))
        if name == service:
            why = "its name on ECS"
        elif name == whole:
            why = f"made of {service}"
        else:
            why = f"made of {service}, without environment and service"
        named[service] = Name(name, why)
    return named


def slug(words: Iterable[str]) -> str:
    """Join words to a name that the catalog takes."""
    return "-".join(words)[:LONGEST].strip("-") or "unnamed"


def _words(name: str) -> list[str]:
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", parted) if word]


def _environment_word(cluster: str) -> str | None:
    words = _words(cluster)
    return next((word for word in (words[-1:] + words[:1]) if word in WORDS), None)


def _without_environment(words: list[str], environment: str) -> list[str]:
    """Leave out at both ends what names the environment, and then "service"; something is always left."""
    same = WORDS.get(environment, (environment,))
    left = list(words)
    while len(left) > 1 and left[-1] in same:
        left.pop()
    while len(left) > 1 and left[0] in same:
        left.pop(0)
    while len(left) > 1 and left[-1] in NOTHING_OF_ITS_OWN:
        left.pop()
    return left


def _numbered(name: str, taken: Iterable[str]) -> str:
    """Return the name, with a number where it is taken."""
    others, number, found = {*taken}, 1, name
    while found in others:
        number += 1
        found = f"{name[: LONGEST - 4]}-{number}"
    return found
