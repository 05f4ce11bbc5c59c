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
HISTORIES = [
    file
    for file in sorted((ROOT / "tests/replay/histories").glob("*.json"))
    if not file.name.startswith(("brake-", "lock-"))  # no review is written of these
]
HERE = Path(__file__).parent
INCIDENT = HERE / "incident.json"
"""A bad release in the sandbox: an alert, its procedure and that one's rollback, with a worker killed in the middle."""
KEPT = {
    "rollback-recovered-approved": ROOT / "tests/replay/histories/rollback-recovered-approved.json",
    "incident": INCIDENT,
}
"""The page that is kept -> what it was written from."""


def chronicle(file: Path) -> Chronicle:
    """The histories of a file: one, or those of an incident."""
    kept = json.loads(file.read_text())
    runs = [recorded(item) for item in (kept if isinstance(kept, list) else [kept])]
    return Chronicle(runs[0].workflow, tuple(runs))


def recorded(kept: dict) -> Recorded:
    events = WorkflowHistory.from_json(kept["id"], kept).events
    run = events[0].workflow_execution_started_event_attributes.original_execution_run_id
    return Recorded(kept["id"], run, events)


@pytest.mark.parametrize("file", [*HISTORIES, INCIDENT], ids=lambda file: file.stem)
def test_every_line_cites_an_event_of_its_time(file):
    wording = chronicle(file)
    events = {(run.workflow, event.event_id): event for run in wording.runs for event in run.events}
    review = write(wording)
    for line in review.timeline:
        assert events[line.cite.workflow, line.cite.event].event_time.ToDatetime(UTC) == line.at, line
    assert review.outcome


@pytest.mark.parametrize("file", [*HISTORIES, INCIDENT], ids=lambda file: file.stem)
def test_twice_is_the_same(file):
    first, again = write(chronicle(file)), write(chronicle(file))
    assert page(first) == page(again)
    assert first.to_json() == again.to_json()


def test_another_process_in_another_place_writes_the_same_bytes():
    code = (
        "import sys; from tests.unit.review.test_recorded import *;"
        "review = write(chronicle(INCIDENT)); sys.stdout.write(page(review) + review.to_json())"
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


@pytest.mark.parametrize("name", KEPT)
def test_the_review_is_the_one_that_is_kept(name):
    """To see what changed: ``git diff``, after writing it again with ``WRITE_GOLDEN=1``."""
    text, kept = page(write(chronicle(KEPT[name]))), HERE / f"{name}.md"
    if os.environ.get("WRITE_GOLDEN"):
        kept.write_text(text)
    assert text == kept.read_text()


@pytest.mark.parametrize("name", KEPT)
def test_a_change_of_any_event_that_it_tells_changes_it(name):
    wording = chronicle(KEPT[name])
    review = write(wording)
    before = page(review)
    runs = {(run.workflow, run.run): run for run in wording.runs}
    for line in review.timeline:
        event = runs[line.cite.workflow, line.cite.run].events[line.cite.event - 1]
        was = event.event_time.ToDatetime()
        event.event_time.FromDatetime(was + timedelta(hours=1))
        assert page(write(wording)) != before, line
        event.event_time.FromDatetime(was)
    assert page(write(wording)) == before


def test_an_incident_says_what_happened_in_its_order():
    review = write(chronicle(INCIDENT))
    marks = [
        review.started,
        review.detected,
        review.taken_up,
        review.acknowledged,
        review.mitigated,
        review.resolved,
    ]
    assert [mark.at for mark in marks] == sorted(mark.at for mark in marks)
    assert review.procedures == ("high-error-rate", "rollback")
    assert [change.state for change in review.changes] == ["made"]
    assert [wait.answer for wait in review.waits] == ["answered by bob"]
    assert (review.owner, review.outcome) == ("alice", "recovered")
    assert any("Heartbeat timeout" in trouble.why for trouble in review.troubles)  # its worker was killed
    assert review.shares.people + review.shares.machine + review.shares.neither == review.shares.whole
