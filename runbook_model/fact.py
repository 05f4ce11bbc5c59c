"""The base of every fact that crosses a boundary, and what is wrong with one that does not fit."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Fact(BaseModel):
    """Something that was read and does not change any more.

    Keys that a later version no longer knows are passed over, so that old histories still replay.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


def first_problem(error: ValidationError) -> str:
    """Say where in a model its first problem is, and what; the value itself, which may be a secret, is not shown."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:100]
    return f"{where}: {first['msg']}" if where else first["msg"]
