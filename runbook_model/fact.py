"""The base of every fact that crosses a boundary."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Fact(BaseModel):
    """Something that was read and does not change any more.

    Keys that a later version no longer knows are passed over, so that old histories still replay.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
