"""What signed decisions cost: the time from a yes to its change, and bytes of history."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from _report import median, p95, publish
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from activities.runtime.converter import data_converter
from runbook_model.names import ids
from tests.procedures.conftest import server_binary
from tests.procedures.stage.signed_stage import Service, Stage

RUNS = 30
WAYS = {"not signed": "needed = 1", "signed": None}


async def main() -> None:
    """Run rollbacks with and without signatures, and publish what they took."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server_binary(), data_converter=data_converter
    ) as environment:
        attributes = {key.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD for key in ids.SEARCH_ATTRIBUTES}
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace="default", search_attributes=attributes)
        )
        publish("signing", [await _measured(environment.client, name) for name in WAYS])


async def _measured(client: object, name: str) -> dict[str, object]:
    took, sizes, events = [], [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            seconds, size, count = await _measure_once(client, name, Path(folder))
        took.append(seconds * 1000)
        sizes.append(size / 1024)
        events.append(count)
    return {
        "decisions": name,
        "runs": RUNS,
        "yes to change, median ms": median(took),
        "p95 ms": p95(took),
        "history, KiB": median(sizes),
        "events": int(median(events)),
    }


async def _measure_once(client: object, name: str, folder: Path) -> tuple[float, int, int]:
    service = Service()
    stage = Stage(client, folder, service)  # type: ignore[arg-type] # the client of a test server
    if approvals := WAYS[name]:
        stage.says(approvals)
    async with stage.workers():
        run = await stage.start()
        gate = await stage.gate(run)
        answer = stage.desk.answer(gate)
        if name == "not signed":
            answer = {"by": "bob", "plan_hash": gate.plan_hash}
        began = time.perf_counter()
        await run.execute_update("decide", answer)
        while not service.changes:  # noqa: ASYNC110 - the service is no part of what is measured
            await asyncio.sleep(0.001)
        took = time.perf_counter() - began
        await stage.end(run)
        found = (await run.fetch_history()).events
        return took, sum(event.ByteSize() for event in found), len(found)


if __name__ == "__main__":
    asyncio.run(main())
