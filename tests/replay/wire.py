"""Everything that histories carry by name, read from the code: what is renamed here breaks runs that are open.

``python -m tests.replay.wire`` writes ``wire.json``; a test compares it.
"""

from __future__ import annotations

import ast
import base64
import importlib
import inspect
import json
import pkgutil
import sys
from collections import defaultdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from temporalio import workflow

import activities
from runbook_model.errors import RunbookError
from runbook_model.incident.messages import AlertBatch, Closing, Joined, ProcedureProgress
from runbook_model.messages import Abort, Approval, Instruction, Note
from runbook_model.names import ids
from runbook_model.names.procedures import PROCEDURES, workflow_type
from runbook_model.steps import STEP_HEADER, StepPlace
from worker import WORKFLOWS
from workflows.brake import Switch
from workflows.page.deciding.child_relay import Changed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
WIRE = Path(__file__).with_name("wire.json")
HISTORIES = Path(__file__).with_name("histories")
MESSAGES = (
    Abort, AlertBatch, Approval, Changed, Closing, Instruction, Joined, Note, ProcedureProgress, StepPlace, Switch,
)  # fmt: skip
"""What signals and headers carry; their handlers declare no type."""

Wire = dict[str, Any]


def wire() -> Wire:
    """Read all of it."""
    doing = {_name(activity): activity for activity in _activities()}
    models, values = _reachable(
        [*MESSAGES, *(_hints(item.run) for item in WORKFLOWS), *map(_hints, doing.values())]
    )
    return {
        "activities": sorted(doing),
        "error types": sorted(_error_types()),
        "headers": [STEP_HEADER],
        "memo and options, as recorded": _recorded(),
        "models": models,
        "procedures": {name: workflow_type(name) for name in sorted(PROCEDURES)},
        "search attributes": sorted(key.name for key in ids.SEARCH_ATTRIBUTES),
        "values": values,
        "workflows": dict(sorted(map(_handlers, WORKFLOWS))),
    }


def differences(kept: Wire, now: Wire, path: str = "") -> Iterator[str]:
    """Say line by line what changed: ``gone: models.Change.undone``."""
    for key in sorted({*_names(kept), *_names(now)}):
        where = f"{path}.{key}" if path else key
        if key not in _names(now):
            yield f"gone: {where}"
        elif key not in _names(kept):
            yield f"new:  {where}"
        elif isinstance(kept, dict) and kept[key] != now[key]:
            yield from (
                differences(kept[key], now[key], where)
                if isinstance(kept[key], dict | list)
                else [f"other: {where}"]
            )


def _names(part: Any) -> Any:
    return part if isinstance(part, dict) else set(part)


def _handlers(of: type) -> tuple[str, Any]:
    found = workflow._Definition.must_from_class(of)
    kinds = {"queries": found.queries, "signals": found.signals, "updates": found.updates}
    return str(found.name), {kind: sorted(filter(None, handlers)) for kind, handlers in kinds.items()}


def _activities() -> list[Any]:
    """List every method of ours that is an activity."""
    found: dict[str, Any] = {}
    for module in pkgutil.walk_packages(activities.__path__, "activities."):
        loaded = importlib.import_module(module.name)
        for _, of in inspect.getmembers(loaded, inspect.isclass):
            for name, method in inspect.getmembers(of, inspect.isfunction):
                if hasattr(method, "__temporal_activity_definition"):
                    found[f"{of.__qualname__}.{name}"] = method
    return list(found.values())


def _name(doing: Any) -> str:
    return str(doing.__temporal_activity_definition.name)


def _hints(of: Any) -> tuple[Any, ...]:
    return tuple(get_type_hints(of, include_extras=True).values())


def _reachable(roots: list[Any]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Follow types to every model, with its fields, and to every fixed set of values."""
    models: dict[str, list[str]] = {}
    values: dict[str, list[str]] = {}
    waiting: list[tuple[str, Any]] = [("", root) for root in roots]
    seen: set[type] = set()
    while waiting:
        place, annotation = waiting.pop()
        if isinstance(annotation, tuple):
            waiting += [(place, part) for part in annotation]
        elif get_origin(annotation) is Literal:
            values[place] = sorted({*values.get(place, ()), *map(str, get_args(annotation))})
        elif get_args(annotation):
            waiting += [(place, part) for part in get_args(annotation)]
        elif isinstance(annotation, type) and annotation not in seen:
            seen.add(annotation)
            if issubclass(annotation, BaseModel):
                name = (
                    annotation.__name__
                    if annotation.__name__ not in models
                    else f"{annotation.__name__} (another)"
                )
                fields = {
                    field.serialization_alias or key: field for key, field in annotation.model_fields.items()
                }
                models[name] = sorted(fields)
                waiting += [(f"{name}.{key}", field.annotation) for key, field in fields.items()]
            elif issubclass(annotation, Enum):
                values[annotation.__name__] = sorted(str(value.value) for value in annotation)
    return dict(sorted(models.items())), dict(sorted(values.items()))


def _error_types() -> set[str]:
    """List the types by which code distinguishes errors."""
    found = {subclass.__name__ for subclass in _subclasses(RunbookError)}
    for file in (*ROOT.glob("workflows/**/*.py"), *ROOT.glob("activities/**/*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                named = {key.arg: key.value for key in call.keywords}
                if call.func.id == "ApplicationError" and isinstance(named.get("type"), ast.Constant):
                    found.add(str(ast.literal_eval(named["type"])))
    return found


def _subclasses(of: type) -> Iterator[type]:
    for subclass in of.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _recorded() -> dict[str, list[str]]:
    """List the keys of memos, and the options of gates, in the histories that are kept; names of services are left out."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in HISTORIES.glob("*.json"):
        for event in json.loads(file.read_text())["events"]:
            memo = event.get("workflowPropertiesModifiedEventAttributes", {}).get("upsertedMemo", {})
            for key, payload in memo.get("fields", {}).items():
                found["memo"].add(key)
                if key == "checkpoint":
                    gate = json.loads(base64.b64decode(payload.get("data", "")) or "null")
                    found["options"].update((gate or {}).get("options", ()))
    return {name: sorted(keys) for name, keys in sorted(found.items())}


def main() -> None:
    """Write it down."""
    now = wire()
    if WIRE.exists():
        sys.stderr.writelines(f"{line}\n" for line in differences(json.loads(WIRE.read_text()), now))
    WIRE.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
