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
from starter.commands.trying import demo
from starter.exits import end_process
from tests.checker import wrong_of
from tests.stories.recording import recording

SECONDS = 280


def played(name):
    """Play a story in a process of its own; returns how its process ended, its recording, and what the checker found."""
    with tempfile.TemporaryDirectory() as folder:
        left = Path(folder) / "left.json"
        argv = (sys.executable, "-m", "tests.stories.play", name, str(left))
        ended = subprocess.run(
            argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
        )
        kept = json.loads(left.read_text()) if left.exists() else None
    return ended, recording(kept) if kept else None, kept["wrong"] if kept else []


def kept(story, file):
    """The same story, which writes what it left to a file before its sandbox ends."""

    async def play(stage):
        try:
            await story.play(stage)
        finally:
            left = await asyncio.to_thread(collect, stage.world)
            runs = [
                stage.client.get_workflow_handle(page["id"], run_id=page["run_id"]) for page in left["pages"]
            ]
            left["wrong"] = await wrong_of(stage.client, runs, left.pop("log"))
            file.write_text(json.dumps(left, indent=1, sort_keys=True))

    return replace(story, play=play)


def collect(world):
    """Every call of the sandbox's life, of AWS and of all systems, and the page of every run, oldest first."""
    calls, log = (asked(f"{world.addresses['aws']}/_sandbox/{name}") for name in ("calls", "log"))
    runs = sorted(said(world, "list"), key=lambda each: (each["started"], each["id"]))
    pages = [said(world, "show", each["id"], "--run", each["run_id"]) for each in runs]
    return {"calls": calls, "log": log, "pages": pages}


def asked(url):
    """The answer of one of the sandbox's switches."""
    with urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


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
