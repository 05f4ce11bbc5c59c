"""Runs that are in flight continue after an upgrade: every history that is committed still replays."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from activities.runtime.converter import data_converter, with_codec
from tests.replay.record import FROZEN, digest
from tests.replay.reworded import Reworded
from tests.sealing import codec, seal
from worker import WORKFLOWS
from workflows.any_procedure import AnyProcedure
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner

ROOT = Path(__file__).parents[2]
HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def replayer(converter=data_converter, runner=None, workflows=WORKFLOWS) -> Replayer:
    """A replayer with every workflow that the worker runs."""
    return Replayer(
        workflows=workflows,
        data_converter=converter,
        interceptors=[TrimArguments()],
        workflow_runner=runner or sandbox_runner(),
    )


def history(kept: dict) -> WorkflowHistory:
    return WorkflowHistory.from_json(kept["id"], kept)


def test_there_are_histories():
    assert HISTORIES


def test_no_history_was_changed_or_removed():
    """Histories are only added, by ``python -m tests.replay.record``."""
    kept = {f"{digest(file)}  {file.name}" for file in HISTORIES}
    assert set(FROZEN.read_text().splitlines()) == kept


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_committed_history_replays(file):
    await replayer().replay_workflow(history(json.loads(file.read_text())))


SOME = [file for file in HISTORIES if not file.name.startswith(("brake-", "lock-"))][::10]


@pytest.mark.parametrize("file", SOME, ids=lambda file: file.stem)
async def test_a_history_replays_the_same_when_it_is_encrypted(file):
    kept = history(json.loads(file.read_text()))
    for number, event in enumerate(kept.events):
        await seal(event, codec("old" if number % 2 else "new"))
    await replayer(with_codec(codec("new", "old"))).replay_workflow(kept)
    with pytest.raises(RuntimeError, match=r'encrypted with key \\"old\\", which is not among the keys here'):
        await replayer(with_codec(codec("new"))).replay_workflow(kept)


async def test_a_history_whose_course_is_another_is_found_out():
    kept = json.loads(next(file for file in HISTORIES if file.stem == "rollback-recovered").read_text())
    first = next(event for event in kept["events"] if "activityTaskScheduledEventAttributes" in event)
    first["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "something_else"
    with pytest.raises(NondeterminismError, match="something_else"):
        await replayer().replay_workflow(history(kept))


async def test_a_run_whose_package_is_gone_is_not_refused_half_way():
    kept = json.loads(next(file for file in HISTORIES if file.stem == "rollback-recovered").read_text())
    with pytest.raises(NondeterminismError, match="resolve_target"):
        await replayer(workflows=[AnyProcedure]).replay_workflow(history(kept))


def test_every_history_replays_whatever_the_sentences_are():
    wording = subprocess.run(
        [sys.executable, "-m", "tests.replay.reworded"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert wording.returncode == 0, wording.stdout + wording.stderr
    assert f"{len(HISTORIES)} of {len(HISTORIES)} replayed" in wording.stdout


def test_a_sentence_is_reworded_and_a_name_is_not():
    source = """heading("Ask first"), f"put {it} back now", options("put-back"), re.compile("a b c d")"""
    said = ast.unparse(Reworded().visit(ast.parse(source)))
    assert said.count("In other words") == 3
    assert "options('put-back'), re.compile('a b c d')" in said
