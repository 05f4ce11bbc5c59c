"""The AWS JSON protocol against botocore's own service model: what a request may say."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import cast

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

from sandbox.ecs.names import Fields


class MalformedRequestError(Exception):
    """The request does not fit the service model; the message says where."""


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
        MalformedRequestError: a member is missing, unknown or of the wrong type, or not one of an enumeration.
    """
    model = operation(service, action)
    if model is None:
        raise MalformedRequestError(f"{service} has no action {action}")
    cleaned = cast("Fields", _without_nulls(parameters))
    shape = model.input_shape
    if shape is None:
        return cleaned
    report = ParamValidator().validate(cleaned, shape)
    if report.has_errors():
        raise MalformedRequestError(report.generate_report())
    wrong = next(_not_enumerated(shape, cleaned, ""), None)
    if wrong is not None:
        raise MalformedRequestError(wrong)
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
