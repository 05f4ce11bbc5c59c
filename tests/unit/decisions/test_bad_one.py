"""Which of two releases is named the bad one: only one that is known to be bad while the other is known to be good."""

import pytest

from runbook_model.catalog.service_policies import Thresholds
from tests.observing import a_target
from tests.symptoms import NEW, OLD, revisions_read
from workflows.decisions.revisions import BadOne, compare

TARGET = a_target()
REFUSED = {"bad": "30 connections refused", "by_type": {"refused connections": 30.0}}
SICK = {"bad": "1 target unhealthy", "healthy": 1}
STARTING = {"unsure": "1 of 2 targets healthy", "healthy": 1}
SLOW, UNTIMED = {"p95": 3.0}, {"p95": None}

CASES = {
    "the one that is coming fails": (revisions_read(0.3), BadOne.COMING, ("errors",)),
    "the old one fails": (revisions_read(0.0, 0.3), BadOne.OLD, ("errors",)),
    "both fail": (revisions_read(0.3, 0.2), BadOne.BOTH, ("errors",)),
    "neither fails": (revisions_read(), BadOne.NEITHER, ("errors", "latency")),
    "a share that is the limit is within it": (revisions_read(0.1), BadOne.NEITHER, ("errors", "latency")),
    "the one that is coming refuses connections": (
        revisions_read(0.03, of_coming=REFUSED), BadOne.COMING, ("errors",),
    ),
    "the one that is coming has a sick target": (revisions_read(of_coming=SICK), BadOne.COMING, ("errors",)),
    "the old one has a sick target": (revisions_read(of_old=SICK), BadOne.OLD, ("errors",)),
    "it fails, and how many targets of the old one are healthy is not known": (
        revisions_read(0.3, of_old={"unsure": "CloudWatch does not say it"}), BadOne.UNKNOWN, (),
    ),
    "it fails, and the old one has too few healthy targets": (
        revisions_read(0.3, of_old=STARTING), BadOne.UNKNOWN, (),
    ),
    "the old one fails, and the other has too few healthy targets": (
        revisions_read(0.0, 0.3, of_coming=STARTING), BadOne.UNKNOWN, (),
    ),
    "it fails, and the old one had too few requests": (revisions_read(0.3, None), BadOne.UNKNOWN, ()),
    "the old one fails, and the other had too few requests": (revisions_read(None, 0.3), BadOne.UNKNOWN, ()),
    "nothing is known of either": (revisions_read(None, None), BadOne.UNKNOWN, ()),
    "nothing was read": (None, BadOne.UNKNOWN, ()),
    "it fails with test traffic alone": (revisions_read(0.3, has_traffic=False), BadOne.UNKNOWN, ()),
    "the old one fails, and the other has test traffic alone": (
        revisions_read(0.0, 0.3, has_traffic=False), BadOne.UNKNOWN, (),
    ),
    "the one that is coming is slow": (revisions_read(of_coming=SLOW), BadOne.COMING, ("latency",)),
    "the old one is slow": (revisions_read(of_old=SLOW), BadOne.OLD, ("latency",)),
    "both are slow, as they always are, and one fails": (
        revisions_read(0.3, of_coming=SLOW, of_old=SLOW), BadOne.COMING, ("errors",),
    ),
    "one fails and is slow": (revisions_read(0.3, of_coming=SLOW), BadOne.COMING, ("errors", "latency")),
    "one fails and the other is slow": (revisions_read(0.3, of_old=SLOW), BadOne.UNKNOWN, ()),
    "it is slow, and how slow the old one is is not known": (
        revisions_read(of_coming=SLOW, of_old=UNTIMED), BadOne.UNKNOWN, ("latency",),
    ),
    "it fails, and how slow the old one is is not known": (
        revisions_read(0.3, of_old=UNTIMED), BadOne.COMING, ("errors",),
    ),
    "one is slow, and both fail": (revisions_read(0.3, 0.3, of_coming=SLOW), BadOne.BOTH, ("errors",)),
}  # fmt: skip


@pytest.mark.parametrize(("found", "bad", "by"), CASES.values(), ids=CASES.keys())
def test_the_bad_one(found, bad, by):
    compared = compare(TARGET, found)
    assert compared.bad is bad, compared.summary
    assert compared.by == by or bad is BadOne.UNKNOWN


def test_both_releases_figures_are_in_the_sentence():
    found = revisions_read(
        0.041, 0.001, of_coming={"requests": 1210.0}, of_old={"requests": 22_900.0, "p95": 0.25}
    )
    target = a_target(thresholds=Thresholds(error_rate=0.02))
    assert compare(target, found).summary == (
        f"{NEW} (tag), which is coming, is the bad one: "
        f"{NEW} (tag): 4.1 % of 1,210 requests failed, 2 of 2 targets healthy, p95 0.10s; at the same time "
        f"{OLD} (tag): 0.1 % of 22,900 requests failed, 2 of 2 targets healthy, p95 0.25s"
    )


def test_where_the_old_one_is_bad_the_sentence_says_what_a_stop_would_do():
    said = compare(TARGET, revisions_read(0.0, 0.3)).said
    assert said == f"{OLD} (tag), which ran before, is the bad one, and a stop would send all traffic to it"


def test_why_nothing_is_concluded_is_said():
    assert compare(TARGET, revisions_read(0.3, None)).said == (
        f"nothing is concluded, as the figures of {OLD} (tag) are not known"
    )


def test_of_releases_that_answered_one_after_the_other_nothing_is_said_to_be_at_the_same_time():
    compared = compare(TARGET, revisions_read(0.3, together=False))
    assert (compared.bad, "at the same time" in compared.summary) == (BadOne.COMING, False)
    assert f"; before it {OLD} (tag): 0.0 %" in compared.summary
