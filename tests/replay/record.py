"""Record the history of every ending again: ``python -m tests.replay.record``, run by hand.

The endings are those that tests of ``tests/procedures`` are marked with, and what incidents live through. Old histories are
replaced only where every marked test passed, so that none gets lost.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

HISTORIES = Path(__file__).parent / "histories"
PROCEDURES = Path(__file__).parents[1] / "procedures"
REVIEWS = Path(__file__).parents[1] / "unit/review/test_recorded.py"


class Recorder:
    """What the fixture ``runbook`` hands the run of a marked test to, once it has ended."""

    __name__ = "recorder"  # pytest's name of the plugin

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def record(self, ending: str, run) -> None:
        """Write down the history of a run, the first one of its ending."""
        procedure = (await run.describe()).workflow_type.lower()
        file = self.folder / f"{procedure}-{ending}.json"
        if not file.exists():
            history = without_places(json.loads((await run.fetch_history()).to_json()))
            file.write_text(
                json.dumps({"id": run.id, **history}, separators=(",", ":"), sort_keys=True) + "\n"
            )


def without_places(kept):
    """Leave out stack traces: they name files of the machine that recorded."""
    if isinstance(kept, list):
        return [without_places(item) for item in kept]
    if isinstance(kept, dict):
        return {key: without_places(value) for key, value in kept.items() if key != "stackTrace"}
    return kept


def main() -> int:
    """Run the marked tests and put their histories in place; returns pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder))
        code = pytest.main(["-q", "-m", "ending or history", str(PROCEDURES)], plugins=[recorder])
        recorded = sorted(recorder.folder.glob("*.json"))
        if code:
            sys.stderr.write("nothing is replaced: not every marked test passed\n")
            return int(code)
        gone = {file.name for file in HISTORIES.glob("*.json")} - {file.name for file in recorded}
        shutil.rmtree(HISTORIES)
        shutil.copytree(folder, HISTORIES)
    sys.stderr.write(f"{len(recorded)} recorded; no longer there: {', '.join(sorted(gone)) or 'none'}\n")
    os.environ["WRITE_GOLDEN"] = "1"  # one of the reviews that are kept is written from one of the histories
    return int(pytest.main(["-q", str(REVIEWS)]))


if __name__ == "__main__":
    sys.exit(main())
