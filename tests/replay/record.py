"""Keep the history of every ending that has none yet: ``python -m tests.replay.record``, run by hand.

The endings are those that tests of ``tests/procedures`` are marked with, and what incidents live through. A history that is there is never made anew:
runs that began on it may be in flight.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

HISTORIES = Path(__file__).parent / "histories"
PROCEDURES = Path(__file__).parents[1] / "procedures"


class Recorder:
    """What the fixture ``runbook`` hands the run of a marked test to, once it has ended."""

    __name__ = "recorder"  # pytest's name of the plugin

    def __init__(self, folder: Path = HISTORIES) -> None:
        self.folder = folder
        self.kept: list[str] = []

    async def record(self, ending: str, run) -> None:
        """Keep the history of a run, if there is none of its ending."""
        procedure = (await run.describe()).workflow_type.lower()
        file = self.folder / f"{procedure}-{ending}.json"
        if not file.exists():
            history = without_places(json.loads((await run.fetch_history()).to_json()))
            file.write_text(
                json.dumps({"id": run.id, **history}, separators=(",", ":"), sort_keys=True) + "\n"
            )
            self.kept.append(file.name)


def without_places(kept):
    """Leave out stack traces: they name files of the machine that recorded."""
    if isinstance(kept, list):
        return [without_places(one) for one in kept]
    if isinstance(kept, dict):
        return {key: without_places(value) for key, value in kept.items() if key != "stackTrace"}
    return kept


def main() -> int:
    """Run the marked tests; returns pytest's exit code."""
    recorder = Recorder()
    code = pytest.main(["-q", "-m", "ending or history", str(PROCEDURES)], plugins=[recorder])
    sys.stderr.write(f"kept: {', '.join(recorder.kept) or 'nothing new'}\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
