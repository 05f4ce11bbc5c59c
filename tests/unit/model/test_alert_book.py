"""Alerts of one incident: one entry for each fingerprint, whatever repeats or overtakes."""

from __future__ import annotations

import itertools

import pytest
from pydantic import ValidationError

from runbook_model.catalog.policies import RUNBOOK_MATRIX
from runbook_model.incident.alert_book import LONGEST, MOST, AlertBook
from runbook_model.incident.messages import AlertBatch
from tests.incidents import alert, at


def book(*words):
    """A book after (status, starts, received)."""
    kept = AlertBook()
    for status, starts, received in words:
        kept.take([alert("HighCPU", status=status, starts=starts)], at(received), at(received))
    return kept


FIRES, RESOLVED = ("firing", 0, 0), ("resolved", 0, 5)


@pytest.mark.parametrize(
    ("words", "fires"),
    [
        ([FIRES], True),
        ([FIRES, FIRES], True),
        ([FIRES, RESOLVED], False),
        ([FIRES, RESOLVED, RESOLVED], False),
        ([FIRES, RESOLVED, FIRES], False),
        ([FIRES, RESOLVED, ("firing", 0, 6)], True),
        ([FIRES, RESOLVED, ("firing", 7, 7)], True),
        ([FIRES, ("firing", 7, 7), ("resolved", 0, 8)], True),
        ([RESOLVED], False),
    ],
)
def test_the_newest_word_counts(words, fires):
    assert bool(book(*words).firing) is fires


def test_only_what_changes_the_picture_stirs():
    kept = AlertBook()
    assert kept.take([alert("HighCPU")], at(0), at(0))
    assert not kept.take([alert("HighCPU")], at(1), at(1))
    assert not kept.take([alert("HighCPU", fingerprint="another pod")], at(1), at(1))
    assert kept.take([alert("ServiceDown")], at(2), at(2))
    assert kept.repeats == 1


def test_how_bad_it_was_is_what_it_said_while_it_fired():
    kept = AlertBook()
    for status, seen in (("firing", "40 % fail"), ("resolved", "11 % fail")):
        said = {"summary": seen, "impact": seen}
        kept.take([alert("HighErrorRate", status=status, annotations=said)], at(0), at(0))
    (resolved,) = kept.newest_first
    assert (resolved.status, resolved.words, resolved.impact) == ("resolved", "40 % fail", "40 % fail")


def test_it_is_resolved_when_every_alert_is():
    kept = AlertBook()
    kept.take([alert("HighCPU"), alert("ServiceDown")], at(0), at(0))
    kept.take([alert("HighCPU", status="resolved")], at(1), at(1))
    assert not kept.all_resolved
    assert kept.take([alert("ServiceDown", status="resolved")], at(2), at(2))
    assert kept.all_resolved


def test_there_is_room_for_a_thousand_and_what_was_resolved_makes_room_first():
    kept = AlertBook()
    kept.take([alert("HighCPU", fingerprint=str(number)) for number in range(MOST)], at(0), at(0))
    kept.take([alert("HighCPU", fingerprint="more")], at(1), at(1))
    assert (len(kept.kept), kept.untracked) == (MOST, 1)
    kept.take([alert("HighCPU", fingerprint="7", status="resolved")], at(2), at(2))
    kept.take([alert("ServiceDown")], at(3), at(3))
    assert (len(kept.kept), "7" in kept.kept, "ServiceDown" in kept.kept) == (MOST, False, True)


@pytest.mark.parametrize("letter", ["s", "ü", "長"])
@pytest.mark.parametrize("matrix", [RUNBOOK_MATRIX, None], ids=["placed", "not placed"])
def test_a_thousand_of_the_longest_fit_into_one_payload(letter, matrix):
    kept = AlertBook()
    long = {"summary": letter * 5000, "impact": letter * 5000}
    labels = {f"label{number}": "v" * 500 for number in range(30)}
    many = [
        alert("HighCPU", fingerprint=f"{number:016x}", annotations=long, labels=labels)
        for number in range(MOST)
    ]
    kept.take(many, at(0), at(0))
    if matrix:
        kept.place(matrix)
    assert all(len(item.words.encode()) == LONGEST for item in kept.kept.values())
    assert len(kept.model_dump_json().encode()) < 1_700_000


def test_the_matrix_places_an_alert_once_and_its_answer_stays():
    kept = book(FIRES)
    kept.place(RUNBOOK_MATRIX)
    placed = kept.firing[0]
    assert (placed.severity, placed.procedure, placed.labels) == ("warning", "resource-issues", {})
    kept.take([alert("HighCPU", starts=9)], at(9), at(9))
    kept.place(())
    assert kept.firing[0].procedure == "resource-issues"


def test_the_order_of_arrival_does_not_choose():
    names = ["ServiceDown", "HighErrorRate", "HighLatencyP95", "HighCPU", "Unknown"]
    orders = set()
    for order in itertools.permutations(names):
        kept = AlertBook()
        kept.take([alert(name) for name in order], at(0), at(0))
        kept.place(RUNBOOK_MATRIX)
        orders.add(tuple(item.name for item in kept.firing))
    assert orders == {("ServiceDown", "HighErrorRate", "Unknown", "HighLatencyP95", "HighCPU")}


def test_a_moment_without_a_time_zone_is_refused_for_it_could_not_be_compared():
    with pytest.raises(ValidationError, match="timezone"):
        AlertBatch(alerts=(), received=at(0).replace(tzinfo=None))
    with pytest.raises(ValidationError, match="timezone"):
        alert("HighCPU", starts_at=at(0).replace(tzinfo=None))
