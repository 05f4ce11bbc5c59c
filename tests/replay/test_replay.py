"""Runs that are in flight go on after an upgrade: every history that was ever committed still replays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from activities.runtime.converter import data_converter, with_codec
from tests.sealing import codec, seal
from worker import WORKFLOWS
from workflows.page.arguments import TrimArguments

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def replayer(converter=data_converter) -> Replayer:
    """A replayer with every workflow that the worker runs."""
    return Replayer(workflows=WORKFLOWS, data_converter=converter, interceptors=[TrimArguments()])


def history(kept: dict) -> WorkflowHistory:
    return WorkflowHistory.from_json(kept["id"], kept)


def test_there_are_histories():
    assert HISTORIES


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_committed_history_replays(file):
    await replayer().replay_workflow(history(json.loads(file.read_text())))


SOME = [*HISTORIES[::10], *(one for one in HISTORIES if one.stem == "rollback-recovered-told-by-child")]
"""The last of them has markers of patches."""


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
    first = next(one for one in kept["events"] if "activityTaskScheduledEventAttributes" in one)
    first["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "something_else"
    with pytest.raises(NondeterminismError, match="something_else"):
        await replayer().replay_workflow(history(kept))
