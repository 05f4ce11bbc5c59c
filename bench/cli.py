"""The command line's own time: ``runbook --help``, and ``runbook start`` to the id that it prints."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from _report import median, p95, publish

from tests.many_services import many_services, name

ROUNDS = 8
RUNBOOK = str(Path(sys.executable).with_name("runbook"))


def run(*argv: str, environment: dict[str, str] | None = None) -> tuple[float, float]:
    """Run a program to its end; return how long that took, and how much of it on a processor."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, env=environment, check=True, capture_output=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def main() -> None:
    """Measure against an interpreter that does nothing, in turns, so that noise hits all alike."""
    took: dict[str, list[tuple[float, float]]] = {
        "python -c pass": [],
        "runbook --help": [],
        "runbook start": [],
    }
    async with many_services(ROUNDS) as world:
        user = {key: value for key, value in os.environ.items() if key != "RUNBOOK_USER"}
        settings = user | world.settings | {"RUNBOOK_USER": "alice"}
        with world.working():
            for number in range(ROUNDS):
                words = ("start", "rollback", "--service", name(number), "--environment", "open", "--json")
                took["python -c pass"].append(run(sys.executable, "-c", "pass"))
                took["runbook --help"].append(run(RUNBOOK, "--help"))
                took["runbook start"].append(
                    await asyncio.to_thread(run, RUNBOOK, *words, environment=settings)
                )
    nothing = median([cpu for _, cpu in took["python -c pass"]])
    publish("cli", [row(command, both, nothing) for command, both in took.items()])


def row(command: str, took: list[tuple[float, float]], nothing: float) -> dict[str, object]:
    """One row of the table; ``nothing`` is what an interpreter that does nothing takes."""
    whole, cpu = [whole for whole, _ in took], median([cpu for _, cpu in took])
    return {
        "command": command,
        "median s": median(whole),
        "p95 s": p95(whole),
        "CPU s": cpu,
        "CPU, times an empty Python": cpu / nothing,
    }


if __name__ == "__main__":
    asyncio.run(main())
