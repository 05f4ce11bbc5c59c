"""What Prometheus answers: its shapes, what makes an answer doubtful, and what is wrong with one that cannot be read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from activities.http.client import redirect_of
from runbook_model.errors import (
    RejectedError,
    UnreachableError,
)
from runbook_model.fact import Fact
from runbook_model.measured.evidence import Points
from runbook_model.text.sentences import quote

if TYPE_CHECKING:
    import httpx


A = TypeVar("A", bound=BaseModel)

INFO = "PromQL info: "
"""Stores that pass Prometheus's answers on put its infos among the warnings; they say nothing of the answer's truth."""


class NoData(Fact):
    """Prometheus answered, and the answer says nothing of the service."""

    why: str


class Series(BaseModel):
    """One series of a vector, with its value."""

    metric: dict[str, str]
    value: tuple[float, str]


class Rows(BaseModel):
    """One series of a matrix, with its values."""

    metric: dict[str, str]
    values: list[tuple[float, str]]


class Vector(BaseModel):
    """The answer to an instant query."""

    resultType: Literal["vector"]  # noqa: N815 - Prometheus's name
    result: list[Series]


class Matrix(BaseModel):
    """The answer to a range query."""

    resultType: Literal["matrix"]  # noqa: N815 - Prometheus's name
    result: list[Rows]


class Answer(BaseModel):
    """An answer that has numbers."""

    status: Literal["success"]
    data: Vector | Matrix
    warnings: list[str] | None = None
    isPartial: bool = False  # noqa: N815 - VictoriaMetrics's name

    @property
    def doubt(self) -> str:
        """Why the answer may not be the whole truth; empty of one that is."""
        real = [warning for warning in self.warnings or [] if not warning.startswith(INFO)]
        return quote(real[0], 200) if real else "it is partial" if self.isPartial else ""


class Listed(BaseModel):
    """An answer that lists names, or series by their labels."""

    status: Literal["success"]
    data: list[Any] | None


class Failure(BaseModel):
    """An answer that says what is wrong with the question."""

    status: Literal["error"]
    errorType: str = "unknown"  # noqa: N815 - Prometheus's name
    error: str = ""


def finite(values: list[tuple[float, str]]) -> Points:
    """Return the moments that have a number."""
    return tuple((moment, number) for moment, text in values if math.isfinite(number := float(text)))


def read_answer(response: httpx.Response, shape: type[A]) -> A:
    """Read an answer.

    Raises:
        UnreachableError: it is JSON of another shape.
        RejectedError: what answers is not a Prometheus.
    """
    try:
        return shape.model_validate_json(response.content)
    except ValidationError:
        complaint = complaint_of(response)
    if response.headers.get("content-type", "").startswith("application/json"):
        raise UnreachableError(f"could not read Prometheus's answer: {complaint}")
    raise RejectedError(
        f"what answers is not a Prometheus: {complaint}", fix="correct prometheus_url in the catalog"
    )


def complaint_of(response: httpx.Response) -> str:
    """Say what Prometheus says is wrong, or start of what came instead."""
    if redirect := redirect_of(response):
        return f"it {redirect}"
    try:
        failure = Failure.model_validate_json(response.content)
    except ValidationError:
        return f"HTTP {response.status_code}: {quote(response.text.strip(), 80)}"
    return f"{failure.errorType}: {quote(failure.error, 200)}"
