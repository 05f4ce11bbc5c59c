"""The catalog: every table and key of it, with type, default and words, from its models."""

from __future__ import annotations

import types
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from docs.writing.source import first_line, table
from runbook_model.catalog.catalog import Catalog
from runbook_model.catalog.fields import NAME
from runbook_model.catalog.policies import RUNBOOK_MATRIX, Environment
from runbook_model.catalog.service_policies import Placement, Service
from runbook_model.text.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

HEAD = """\
# The catalog

One TOML file says which services and environments there are, what is good, who must agree, and who is notified. A key that is
not here is an error; `runbook catalog check` names every error with its fix, and `runbook catalog schema` prints a JSON
Schema for editors. [catalog.example.toml](../../deploy/catalog.example.toml) is a whole one to start from.

- A *name* matches `[a-z0-9][a-z0-9-]{0,62}`. A *duration* is written `"90s"`, `"5m"`, `"1h30m"` or `"2d"`. An *address*
  is plain `http` or `https`, without user or password, and without a slash at its end.
- Secrets are never here: `dsn_env`, `secret_env` and `external_id_env` are the names of variables of the worker.
- An edit counts for the next run; a run keeps what it was resolved to when it started."""

WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", timedelta: "duration"}
PATTERNS = {NAME: "name", "^https?://": "address"}


def page() -> str:
    """Write the page."""
    top = table(
        ("key", "type", "default", "meaning"), [_row("procedures", Catalog.model_fields["procedures"])]
    )
    parts = [HEAD, "## Above all tables", top]
    for place, model in _tables():
        rows = [
            _row(name, field)
            for name, field in model.model_fields.items()
            if (name, model) != ("environments", Service)  # each has a table of its own
        ]
        parts += [f"## `{place}`", first_line(model), table(("key", "type", "default", "meaning"), rows)]
    return "\n\n".join([*parts, "## `[links]`", Catalog.model_fields["links"].description or "", _matrix()])


def _tables() -> Iterator[tuple[str, type[BaseModel]]]:
    yield from _within("[environments.<name>]", Environment)
    yield "[services.<name>]", Service
    yield from _within("[services.<name>.<environment>]", Placement)
    for name, field in Catalog.model_fields.items():
        if name in {"environments", "services"}:
            continue
        model, many = _model_in(field.annotation)
        if model:
            yield f"[[{name}]]" if many else f"[{name}]", model


def _within(place: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield place, model
    for name, field in model.model_fields.items():
        inner, _ = _model_in(field.annotation)
        if inner:
            yield from _within(f"{place[:-1]}.{name}]", inner)


def _row(name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    model, _ = _model_in(field.annotation)
    said = field.description or (first_line(model) if model else "")
    return f"`{name}`", _type(field), _default(field), said


def _type(field: FieldInfo) -> str:
    model, many = _model_in(field.annotation)
    if model:
        return "tables" if many else "table"
    return _in_words(field.annotation, field.metadata)


def _in_words(annotation: Any, metadata: list[Any]) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f'`"{item}"`' for item in inner)
    if origin in {Union, types.UnionType}:
        return _in_words(next(item for item in inner if item is not type(None)), metadata)
    if origin is tuple:
        return f"list of {_in_words(inner[0], [])}s"
    if origin is dict:
        return "table of texts"
    if hasattr(annotation, "__metadata__"):
        return _in_words(inner[0], [*annotation.__metadata__, *metadata])
    return _shape(metadata) or f"{WORDS.get(annotation, str(annotation))}{_limits(annotation, metadata)}"


def _shape(metadata: list[Any]) -> str | None:
    patterns = [getattr(item, "pattern", None) or "" for item in metadata]
    return next(
        (word for known, word in PATTERNS.items() if any(pattern.startswith(known) for pattern in patterns)),
        None,
    )


def _limits(annotation: Any, metadata: list[Any]) -> str:
    flat = [inner for item in metadata for inner in getattr(item, "metadata", None) or [item]]
    said = [
        f"{sign} {_value(getattr(item, name))}"
        for item in flat
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if getattr(item, name, None) is not None
    ]
    return f" {' and '.join(dict.fromkeys(said))}" if said and annotation is not str else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None or isinstance(value, BaseModel) or value in ((), {}):
        return ""
    if isinstance(value, tuple):
        return "see below"
    return f"`{_value(value) if not isinstance(value, str | timedelta) else _quoted(value)}`"


def _quoted(value: str | timedelta) -> str:
    text = format_duration(value).replace(" ", "") if isinstance(value, timedelta) else value
    return f'"{text}"'


def _value(value: object) -> str:
    if isinstance(value, timedelta):
        return format_duration(value) or "0s"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the model that an annotation holds, and whether it holds many."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for argument in get_args(annotation):
        model, _ = _model_in(argument)
        if model:
            return model, get_origin(annotation) is tuple
    return None, False


def _matrix() -> str:
    rows = [
        (f"`{item.name}`", item.severity, _value(item.respond_within), f"`{item.procedure}`")
        for item in RUNBOOK_MATRIX
    ]
    head = ("name", "severity", "respond_within", "procedure")
    return f"## Alerts, where the file has none\n\n{table(head, rows)}"
