"""Reads what ``terraform show -json`` says of a plan: secrets are hidden, and the size is bounded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from runbook_model.catalog.service_policies import Terraform
from runbook_model.releases.terraform_plans import (
    KNOWN_LATER,
    MOST,
    SENSITIVE,
    SERVICE,
    TASK_DEFINITION,
    AttributeChange,
    EcsResource,
    ResourceChange,
    TerraformPlan,
    TerraformWish,
)
from runbook_model.text.plain_text import one_line
from runbook_model.text.redaction import HIDDEN, redact

LONGEST_VALUE = 200
"""Characters of a value that are shown."""

BUDGET = 12_000
"""Characters of all changes together that are shown: a plan is repeated in the memo and in the page."""

HASHED: Final = ("address", "previous_address", "deposed")

HASHED_OF_CHANGE: Final = ("actions", "before", "after", "after_unknown", "replace_paths", "importing")

NOTHING: Final = (["no-op"], ["read"])


def read_plan(shown: dict[str, Any], wish: TerraformWish, owner: Terraform) -> TerraformPlan:
    """Read a plan as ``terraform show -json`` reports it.

    Args:
        shown: the JSON document, with format version 1.
        wish: what was planned for.
        owner: what the catalog says of the module.
    """
    changes = [item for item in shown.get("resource_changes", []) if item["change"]["actions"] not in NOTHING]
    outputs = {
        name: change
        for name, change in shown.get("output_changes", {}).items()
        if change["actions"] not in NOTHING
    }
    budget = _Budget(BUDGET)
    return TerraformPlan(
        directory=owner.directory,
        variables=wish.variables,
        workspace=owner.workspace,
        command=" ".join((owner.command, "apply", *(f"-var-file={name}" for name in owner.var_files))),
        hash=_hash(changes, outputs, wish.variables),
        resources=tuple(_resource(item, budget) for item in changes if budget.takes(item["address"])),
        outputs=tuple(
            budget.cut(item for name, change in outputs.items() for item in _differing(name, change))
        ),
        addresses=tuple(item["address"] for item in changes),
        left_out=budget.left_out,
        deregisters=tuple(_deregistered(changes)),
        services=tuple(_ecs(shown.get("resource_changes", []), SERVICE, "name"))[:MOST],
        definitions=tuple(_ecs(changes, TASK_DEFINITION, "family"))[:MOST],
        images=tuple(_images(changes))[:MOST],
        empty=not changes and not outputs,
        from_nothing=_makes_all(shown),
    )


def _makes_all(shown: dict[str, Any]) -> bool:
    """Whether each resource of the module is to be made: its state holds none of them."""
    known = [
        item["change"]["actions"] for item in shown.get("resource_changes", []) if item.get("mode") != "data"
    ]
    return bool(known) and all(actions == ["create"] for actions in known)


class _Budget:
    """Counts what may still be shown."""

    def __init__(self, characters: int) -> None:
        self._left = characters
        self.left_out = 0

    def takes(self, text: str) -> bool:
        self._left -= len(text)
        if self._left < 0:
            self.left_out += 1
        return self._left >= 0

    def cut(self, changes: Iterator[AttributeChange]) -> Iterator[AttributeChange]:
        return (change for change in changes if self.takes(f"{change.path}{change.before}{change.after}"))


def _hash(changes: list[Any], outputs: dict[str, Any], variables: dict[str, str]) -> str:
    essence = {
        "resources": sorted(
            (
                [item.get(key) for key in HASHED] + [change.get(key) for key in HASHED_OF_CHANGE]
                for item in changes
                for change in [_moved(item["change"])]
            ),
            key=lambda item: (str(item[0]), str(item[2])),
        ),
        "outputs": {name: [change.get(key) for key in HASHED_OF_CHANGE] for name, change in outputs.items()},
        "variables": variables,
    }
    text = json.dumps(essence, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _moved(change: dict[str, Any]) -> dict[str, Any]:
    """Leave out what an update in place leaves as it is: autoscaling may move a count that the module ignores."""
    before, after = change.get("before"), change.get("after")
    if change["actions"] != ["update"] or not isinstance(before, dict) or not isinstance(after, dict):
        return change
    same = {name for name in before if name in after and before[name] == after[name]}
    moved = ({name: item[name] for name in item if name not in same} for item in (before, after))
    return {**change, **dict(zip(("before", "after"), moved, strict=True))}


def _resource(item: dict[str, Any], budget: _Budget) -> ResourceChange:
    action = _action(item["change"]["actions"])
    differing = [] if action == "delete" else sorted(_differing("", item["change"]), key=_telling)
    differing = [change for change in differing if (change.path, change.after) != ("id", KNOWN_LATER)]
    shown = tuple(budget.cut(iter(differing)))
    return ResourceChange(address=item["address"], action=action, attributes=shown)


def _telling(attribute_change: AttributeChange) -> int:
    """Put first what tells most: from one value to another, then what comes or goes, then what nobody knows yet."""
    if attribute_change.after == KNOWN_LATER:
        return 2
    return int(attribute_change.before is None or attribute_change.after is None)


def _deregistered(changes: list[Any]) -> Iterator[str]:
    for change in changes:
        before = change["change"].get("before") or {}
        goes = change.get("type") == TASK_DEFINITION and "delete" in change["change"]["actions"]
        if goes and before.get("arn") and not before.get("skip_destroy"):
            yield before["arn"]


def _ecs(changes: list[Any], kind: str, name: str) -> Iterator[EcsResource]:
    for item in changes:
        if item.get("type") != kind or item.get("mode") == "data":
            continue
        change = item["change"]
        before, after = change.get("before") or {}, change.get("after") or {}
        seen = before or after
        arn = before.get("arn") or before.get("id")
        yield EcsResource(
            address=item["address"],
            action=_action(change["actions"]),
            name=str(seen.get(name) or ""),
            cluster=str(seen.get("cluster") or "").rpartition("/")[2] if kind == SERVICE else "",
            arn=arn if str(arn).startswith("arn:") else None,
        )


def _images(changes: list[Any]) -> Iterator[AttributeChange]:
    for change in changes:
        for leaf in _differing("", change["change"]):
            if leaf.path.rpartition(".")[2] == "image" and SENSITIVE not in {leaf.before, leaf.after}:
                yield leaf.model_copy(update={"path": f"{change['address']} {leaf.path}"})


def _action(actions: list[str]) -> str:
    return "replace" if set(actions) == {"create", "delete"} else "-".join(actions)


def _differing(name: str, change: dict[str, Any]) -> Iterator[AttributeChange]:
    """List what differs, leaf by leaf, in a resource or an output."""
    before = _leaves(name, change.get("before"), change.get("before_sensitive"), None)
    after = _leaves(
        name, change.get("after"), change.get("after_sensitive"), change.get("after_unknown") or None
    )
    later = tuple(path for path, leaf in after.items() if leaf[1] == KNOWN_LATER)
    before = {path: leaf for path, leaf in before.items() if not _within(path, later)}
    replaced = change.get("before") is not None
    for path in dict.fromkeys((*before, *after)):
        old, new = before.get(path, (None, None)), after.get(path, (None, None))
        if _same(path, old[0], new[0]) or (new[1] == KNOWN_LATER and not replaced):
            continue
        yield AttributeChange(path=path, before=old[1], after=new[1])


def _same(path: str, old: Any, new: Any) -> bool:
    """Whether nothing changes; the AWS provider reads an attribute that is not set as empty text."""
    return old == new or (old == "" and new is None and path.isidentifier())


def _within(path: str, wholes: tuple[str, ...]) -> bool:
    """Whether a leaf belongs to something that is replaced as a whole."""
    return path.startswith(tuple(f"{whole}{mark}" for whole in wholes for mark in ".["))


def _leaves(path: str, value: Any, sensitive: Any, unknown: Any) -> dict[str, tuple[Any, str]]:
    """Flatten a value to its leaves: path -> the value to compare, and the words to show."""
    if unknown is True:
        return {path: (object(), KNOWN_LATER)}
    if sensitive is True:
        return {path: (json.dumps(value, sort_keys=True), SENSITIVE)} if value is not None else {}
    if isinstance(value, str) and value[:1] in {"[", "{"} and (inner := _decoded(value)):
        return _leaves(path, inner, None, None)
    if not isinstance(value, dict | list):
        later = _leaves(path, {}, None, unknown) if isinstance(unknown, dict) and unknown else {}
        return later or ({} if value is None else {path: (value, _shown(path, value))})
    leaves: dict[str, tuple[Any, str]] = {}
    for key, part in _parts(value, unknown):
        step = f"{path}[{key}]" if isinstance(value, list) else f"{path}.{key}" if path else key
        index = part.pop("index")
        leaves |= _leaves(step, part["value"], _at(sensitive, index), _at(unknown, index))
    return leaves


def _parts(value: Any, unknown: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the parts of a dict or list; of a list of names and values, such as ``environment``, by name."""
    if isinstance(value, dict):
        keys = dict.fromkeys((*value, *(unknown if isinstance(unknown, dict) else ())))
        yield from ((str(key), {"value": value.get(key), "index": key}) for key in keys)
        return
    for index, item in enumerate(value):
        if isinstance(item, dict) and set(item) == {"name", "value"}:
            yield str(item["name"]), {"value": item["value"], "index": index}
        else:
            yield str(index), {"value": item, "index": index}


def _at(marks: Any, index: Any) -> Any:
    if isinstance(marks, dict):
        return marks.get(index)
    if isinstance(marks, list) and isinstance(index, int) and index < len(marks):
        return marks[index]
    return True if marks is True else None


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _shown(path: str, value: Any) -> str:
    words = one_line(json.dumps(value, ensure_ascii=False))
    name = path.rpartition(".")[2].rpartition("[")[2].rstrip("]")
    if HIDDEN in redact(f"{name}={words}"):
        return HIDDEN
    return words if len(words) <= LONGEST_VALUE else f"{words[: LONGEST_VALUE - 1]}…"
