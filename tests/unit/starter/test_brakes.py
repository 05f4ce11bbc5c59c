"""What is reported of a brake whose worker does not answer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from temporalio.service import RPCError, RPCStatusCode

from starter.client.ledger import read_brake_report


class Handle:
    """A run whose question ends so."""

    def __init__(self, status: RPCStatusCode) -> None:
        self._status = status

    async def query(self, *_: object, **__: object) -> None:
        raise RPCError("Timeout expired", self._status, b"")


def client(status: RPCStatusCode) -> SimpleNamespace:
    return SimpleNamespace(get_workflow_handle=lambda _: Handle(status))


@pytest.mark.parametrize("status", [RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED])
async def test_a_worker_that_does_not_answer_is_not_temporal_being_away(status):
    assert await read_brake_report(client(status), "brake/prod") is None


async def test_temporal_that_is_away_is_reported():
    with pytest.raises(RPCError):
        await read_brake_report(client(RPCStatusCode.UNAVAILABLE), "brake/prod")
