"""Compares an answer, as it came over the wire, with botocore's model of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import OperationModel, Shape

_PLAIN: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "blob": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
}


def mismatches(shape: Shape | None, value: Any, path: str = "") -> list[str]:
    """Return every place where an answer does not fit its shape."""
    if shape is None:
        return [] if value in ({}, None) else [f"{path}: nothing was expected"]
    return list(_walk(shape, value, path or shape.name))


def _walk(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if kind in _PLAIN:
        yield from _walk_plain(shape, value, path)
    elif kind == "structure":
        yield from _walk_structure(shape, value, path)
    elif kind == "list" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(shape.member, item, f"{path}[{index}]")
    elif kind == "map" and isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(shape.value, item, f"{path}.{key}")
    else:
        yield f"{path}: {value!r} is not a {kind}"


def _walk_plain(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path}: {value!r} is not a {kind}"
    elif kind == "string" and shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is not one of {shape.enum}"


def _walk_structure(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not a structure"
        return
    members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    required = [shape.members[name].serialization.get("name", name) for name in shape.required_members]
    for name in required:
        if name not in value:
            yield f"{path}.{name} is missing"
    for name, item in value.items():
        if name not in members:
            yield f"{path}.{name} is not in the model"
        else:
            yield from _walk(members[name], item, f"{path}.{name}")


def read_query_answer(model: OperationModel, content: bytes) -> Any:
    """Read an answer of the query protocol; elements that the model does not have are kept."""
    shape = model.output_shape
    assert shape is not None
    (result,) = (
        item for item in ET.fromstring(content) if _tag(item) == shape.serialization["resultWrapper"]
    )
    return _from_xml(shape, result)


def _from_xml(shape: Any, element: ET.Element) -> Any:
    kind = shape.type_name if shape else "string"
    text = element.text or ""
    if kind == "structure":
        return {_tag(item): _from_xml(shape.members.get(_tag(item)), item) for item in element}
    if kind == "list":
        assert {_tag(item) for item in element} <= {"member"}
        return [_from_xml(shape.member, item) for item in element]
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind == "timestamp":
        return datetime.fromisoformat(text).timestamp()
    return int(text) if kind in {"integer", "long"} else text


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
