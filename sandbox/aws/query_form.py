"""The flat names of AWS's query protocol as the members that they stand for."""

from __future__ import annotations

from sandbox.ecs.names import Fields


def members(form: Fields) -> Fields:
    """Read the query protocol's flat names: ``ActionNames.member.1`` is the first of a list."""
    tree: Fields = {}
    for name, value in form.items():
        *path, last = name.split(".")
        at = tree
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return {name: _without_numbers(item) for name, item in tree.items()}


def _without_numbers(value: object) -> object:
    if not isinstance(value, dict):
        return value
    if value.keys() == {"member"}:
        return [_without_numbers(value["member"][number]) for number in sorted(value["member"], key=int)]
    return {name: _without_numbers(item) for name, item in value.items()}
