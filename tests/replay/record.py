"""Record the history of every ending that has none yet: ``python -m tests.replay.record``, run by hand.

The endings are those that tests of ``tests/procedures`` are marked with, and what incidents live through. Histories are frozen:
runs like them may be open somewhere. A change of what workflows do goes behind ``workflow.patched()``, and its test gets an ending
with a new name.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

HISTORIES = Path(__file__).parent / "histories"
PROCEDURES = Path(__file__).parents[1] / "procedures"
FROZEN = Path(__file__).parent / "frozen.sha256"
"""What ``sha256sum`` says of each history."""


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


def digest(file: Path) -> str:
    """Return a history's SHA-256."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def without_places(kept):
    """Leave out stack traces: they name files of the machine that recorded."""
    if isinstance(kept, list):
        return [without_places(item) for item in kept]
    if isinstance(kept, dict):
        return {key: without_places(value) for key, value in kept.items() if key != "stackTrace"}
    return kept


def main() -> int:
    """Run the marked tests and add the histories of endings that had none; returns pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        code = pytest.main(
            ["-q", "-m", "ending or history", str(PROCEDURES)], plugins=[Recorder(Path(folder))]
        )
        if code:
            sys.stderr.write("nothing is added: not every marked test passed\n")
            return int(code)
        new = [file for file in sorted(Path(folder).glob("*.json")) if not (HISTORIES / file.name).exists()]
        for file in new:
            shutil.copy(file, HISTORIES)
    FROZEN.write_text("".join(f"{digest(file)}  {file.name}\n" for file in sorted(HISTORIES.glob("*.json"))))
    sys.stderr.write(f"added: {', '.join(file.stem for file in new) or 'none'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
