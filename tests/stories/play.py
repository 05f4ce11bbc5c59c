"""Play one story by the real command, and keep what it left: ``python -m tests.stories.play STORY FILE``.

A program of its own, because a story's sandbox ends with the process that started it; the product is used by its command line.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

from starter.__main__ import run
from starter.commands import demo
from starter.exits import end_process
from tests.stories.recording import recording

SECONDS = 280


def played(name):
    """Play a story in a process of its own; returns how its process ended, and its recording."""
    with tempfile.TemporaryDirectory() as folder:
        left = Path(folder) / "left.json"
        argv = (sys.executable, "-m", "tests.stories.play", name, str(left))
        ended = subprocess.run(
            argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
        )
        found = recording(json.loads(left.read_text())) if left.exists() else None
    return ended, found


def kept(story, file):
    """The same story, which writes what it left to a file before its sandbox ends."""

    async def play(stage):
        try:
            await story.play(stage)
        finally:
            left = await asyncio.to_thread(collect, stage.world)
            file.write_text(json.dumps(left, indent=1, sort_keys=True))

    return replace(story, play=play)


def collect(world):
    """Every AWS call of the sandbox's life, and the page of every run, oldest first."""
    with urlopen(f"{world.addresses['aws']}/_sandbox/calls", timeout=10) as answer:
        calls = json.loads(answer.read())
    runs = sorted(said(world, "list"), key=lambda each: (each["started"], each["id"]))
    pages = [said(world, "show", each["id"], "--run", each["run_id"]) for each in runs]
    return {"calls": calls, "pages": pages}


def said(world, *words):
    """The answer of a command in this world."""
    argv = (sys.executable, "-m", "starter", *words, "--json")
    ended = subprocess.run(argv, check=False, env=world.environment, capture_output=True, text=True)
    assert ended.returncode == 0, f"{argv} ended with {ended.returncode}: {ended.stderr}"
    return json.loads(ended.stdout)


def main(name, file):
    # The command finds its stories here; it plays ours as it plays its own.
    demo.STORIES = tuple(kept(story, Path(file)) for story in demo.STORIES if story.name == name)
    return run(["demo", name, "--json"])


if __name__ == "__main__":
    end_process(main(*sys.argv[1:]))
