"""The kinds of values that the catalog's fields hold."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from runbook_model.catalog.matchers import parse_matcher
from runbook_model.names.procedures import LONGEST, PATTERN, problem_of_name
from runbook_model.text.durations import Duration

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"

Name = Annotated[str, StringConstraints(pattern=NAME)]

# Targets go into history, so their addresses hold no user and password.
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@]+(/[^\s]*[^/\s])?$")]

Positive = Annotated[Duration, Field(gt=timedelta(0))]

Share = Annotated[float, Field(gt=0, le=1)]

ComposeName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$")]

EnvironmentVariable = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]

Variable = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]*$")]

QueueName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,75}(\.fifo)?$")]

HttpPath = Annotated[str, StringConstraints(pattern=r"^/[^\s#]*$")]


def _can_be_negated(text: str) -> str:
    parse_matcher(text)
    return text


def _is_a_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression of Python: {error}") from None
    return text


def _names_a_procedure(text: str) -> str:
    if problem := problem_of_name(text):
        raise ValueError(f"cannot be the name of a procedure: {problem}")
    return text


IgnoredRequests = Annotated[str, AfterValidator(_can_be_negated)]

LinePattern = Annotated[str, StringConstraints(min_length=1), AfterValidator(_is_a_pattern)]

ProcedureName = Annotated[
    str, StringConstraints(pattern=PATTERN, max_length=LONGEST), AfterValidator(_names_a_procedure)
]


EvidenceSource = Literal["prometheus", "load-balancer", "service-connect", "scrape", "probe"]
EVIDENCE: tuple[EvidenceSource, ...] = get_args(EvidenceSource)
"""Where the numbers of a service's requests come from, first to last, unless the catalog says otherwise."""


def _each_once(sources: tuple[EvidenceSource, ...]) -> tuple[EvidenceSource, ...]:
    if not sources:
        raise ValueError("names no source: name one, or take it out")
    if len(set(sources)) < len(sources):
        raise ValueError("names a source twice: remove one")
    return sources


EvidenceOrder = Annotated[tuple[EvidenceSource, ...], AfterValidator(_each_once)]


class Policy(BaseModel):
    """A part of the catalog."""

    model_config = ConfigDict(frozen=True)
