"""Reviews of histories that were recorded: the same bytes each time, and other bytes when one event is another."""

import json
import os
import subprocess
import sys
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from activities.review.histories import Chronicle, Recorded
from activities.review.markdown import page
from activities.review.writing import write

ROOT = Path(__file__).parents[3]
HISTORIES = sorted((ROOT / "tests/replay/histories").glob("*.json"))
GOLDEN = Path(__file__).parent / "rollback-recovered-approved.md"
RECORDED = ROOT / "tests/replay/histories/rollback-recovered-approved.json"


def chronicle(file: Path) -> Chronicle:
    kept = json.loads(file.read_text())
    events = WorkflowHistory.from_json(kept["id"], kept).events
    run = events[0].workflow_execution_started_event_attributes.original_execution_run_id
    return Chronicle(kept["id"], (Recorded(kept["id"], run, events),))


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_every_line_cites_an_event_of_its_time(file):
    told = chronicle(file)
    review = write(told)
    events = {event.event_id: event for event in told.runs[0].events}
    for line in review.timeline:
        assert events[line.cite.event].event_time.ToDatetime(UTC) == line.at, line
    assert review.outcome


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_twice_is_the_same(file):
    first, again = write(chronicle(file)), write(chronicle(file))
    assert page(first) == page(again)
    assert first.to_json() == again.to_json()


def test_another_process_writes_the_same_bytes():
    code = (
        "import sys; from tests.unit.review.test_recorded import *;"
        "review = write(chronicle(RECORDED)); sys.stdout.write(page(review) + review.to_json())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "America/New_York"))
    }
    assert len(said) == 1


def test_the_review_is_the_one_that_is_kept():
    """To see what changed: ``git diff``, after writing it anew."""
    text = page(write(chronicle(RECORDED)))
    if os.environ.get("WRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def cited() -> list[int]:
    review = write(chronicle(RECORDED))
    return sorted({line.cite.event for line in review.timeline})


@pytest.mark.parametrize("number", cited())
def test_a_change_of_one_event_changes_it(number):
    told = chronicle(RECORDED)
    event = told.runs[0].events[number - 1]
    event.event_time.FromDatetime(event.event_time.ToDatetime() + timedelta(hours=1))
    assert page(write(told)) != GOLDEN.read_text()
