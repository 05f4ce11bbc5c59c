"""The AWS JSON protocol against botocore's service model: what a request may say, how often, and page by page."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar, cast

import botocore.session
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)
from botocore.validate import ParamValidator

from sandbox.ecs.names import ApiError, Fields, invalid

RATES: dict[str, tuple[int, int]] = {
    "UpdateService": (50, 5),
    "CreateService": (50, 5),
    "DeleteService": (50, 5),
    "DescribeServices": (100, 20),
    "ListServices": (100, 20),
    "DescribeTasks": (100, 20),
    "ListTasks": (100, 20),
    "RegisterTaskDefinition": (20, 1),
    "DeregisterTaskDefinition": (20, 1),
    "DeleteTaskDefinitions": (20, 1),
    "CreateCluster": (20, 1),
    "DeleteCluster": (20, 1),
    "StopTask": (100, 40),
}
"""Burst and sustained calls per second, by action."""

OTHERS = (50, 20)
_MALFORMED = {"ecs": "InvalidParameterException", "application-autoscaling": "ValidationException"}
"""The code that refuses a request that does not fit the model; ``ValidationError`` with other services."""


@dataclass
class _Bucket:
    tokens: float
    at: float


class Throttle:
    """Counts calls; the time comes from a clock so that a test need not wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, action: str) -> None:
        """Take one token.

        Raises:
            ApiError: ``ThrottlingException``: none is left.
        """
        burst, sustained = RATES.get(action, OTHERS)
        now = self._clock()
        bucket = self._buckets.setdefault(action, _Bucket(burst, now))
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * sustained)
        bucket.at = now
        if bucket.tokens < 1:
            raise ApiError("ThrottlingException", "Rate exceeded")
        bucket.tokens -= 1


T = TypeVar("T")


def page(everything: Sequence[T], parameters: Fields, member: str, *, default: int = 100) -> Fields:
    """Return one page as ``{member: [...], "nextToken": ...}``.

    Raises:
        ApiError: ``InvalidParameterException``: a size out of bounds, or a token that was never given.
    """
    size = parameters.get("maxResults", default)
    if not 1 <= size <= 100:
        raise invalid("maxResults must be between 1 and 100.")
    start = _position(parameters.get("nextToken"))
    answer: Fields = {member: list(everything[start : start + size])}
    if start + size < len(everything):
        answer["nextToken"] = base64.urlsafe_b64encode(f"from:{start + size}".encode()).decode()
    return answer


def _position(token: str | None) -> int:
    if token is None:
        return 0
    try:
        word, _, position = base64.urlsafe_b64decode(token).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise invalid("Invalid token") from None
    if word != "from" or not position.isdigit():
        raise invalid("Invalid token")
    return int(position)


def described(
    member: str,
    names: Iterable[str],
    find: Callable[[str], T | None],
    show: Callable[[T], Fields],
    arn: Callable[[str], str] = str,
) -> Fields:
    """Describe things by name or ARN; those that do not exist are ``failures``.

    Args:
        member: of the answer, for those that were found.
        names: what was asked for.
        find: returns one; None where there is none.
        show: returns what is said of one.
        arn: makes the ARN of a name that nothing has.
    """
    found, failures = [], []
    for name in names:
        item = find(name)
        if item is None:
            failures.append({"arn": name if name.startswith("arn:") else arn(name), "reason": "MISSING"})
        else:
            found.append(show(item))
    return {member: found, "failures": failures}


@cache
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service."""
    return botocore.session.get_session().get_service_model(service)


def operation(service: str, action: str) -> OperationModel | None:
    """Return an action's model; None for a name that the service does not have."""
    model = service_model(service)
    return model.operation_model(action) if action in model.operation_names else None


def checked(service: str, action: str, parameters: Fields) -> Fields:
    """Return the parameters without nulls, known to fit the action's input.

    Raises:
        ApiError: a member is missing, unknown or of the wrong type, or not one of an enumeration; the message says where.
    """
    code = _MALFORMED.get(service, "ValidationError")
    model = operation(service, action)
    if model is None:
        raise ApiError(code, f"{service} has no action {action}")
    cleaned = cast("Fields", _without_nulls(parameters))
    shape = model.input_shape
    if shape is None:
        return cleaned
    report = ParamValidator().validate(cleaned, shape)
    if report.has_errors():
        raise ApiError(code, report.generate_report())
    wrong = next(_not_enumerated(shape, cleaned, ""), None)
    if wrong is not None:
        raise ApiError(code, wrong)
    return cleaned


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _not_enumerated(shape: Shape, value: object, path: str) -> Iterator[str]:
    """Find values that are not among those that the model enumerates."""
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield f"{path.lstrip('.')}: {value} is not one of {', '.join(shape.enum)}"
    elif isinstance(shape, StructureShape) and isinstance(value, dict):
        for key, item in value.items():
            yield from _not_enumerated(shape.members[key], item, f"{path}.{key}")
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for item in value:
            yield from _not_enumerated(shape.member, item, path)
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        for item in value.values():
            yield from _not_enumerated(shape.value, item, path)
