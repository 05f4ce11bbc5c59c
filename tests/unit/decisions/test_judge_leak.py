"""Memory over time: what leaks, what does not, and what cannot be determined."""

import random
from datetime import timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from workflows.decisions.diagnosis import judge_leak
from workflows.decisions.diagnosis.resources import FEWEST, slope_of, split_at_falls

MIB = 1024**2
LIMIT = 512 * MIB
STEP = 60.0
NOISE = random.Random(7)


def row(*values, step=STEP):
    """A reading each minute, in MiB."""
    return tuple((i * step, value * MIB) for i, value in enumerate(values))


def noisy(values, most=2.0):
    return row(*(value + NOISE.uniform(-most, most) for value in values))


def sawtooth(low, high, teeth, points=8):
    """Fall back to ``low`` each time ``high`` is reached."""
    tooth = [low + (high - low) * i / (points - 1) for i in range(points)]
    return row(*(tooth * teeth))


STORIES = {
    "it grows all the time": (noisy([100 + 3 * i for i in range(30)]), "leaks", "3.0 MiB/min, full in 10"),
    "it grows, with a few wild readings": (
        row(*(1.25 * (100 + 3 * i) if i in {4, 11, 20} else 100 + 3 * i for i in range(30))),
        "leaks",
        "it grows by 3.",
    ),
    "it stays where it is": (noisy([100] * 30), "steady", "does not grow"),
    "it shrinks": (row(*(300 - 2 * i for i in range(30))), "steady", "does not grow"),
    "it grows by less than programs do": (
        row(*(100 + 0.1 * i for i in range(30))),
        "steady",
        "does not grow",
    ),
    "it grows at its start and then levels off": (
        row(*([100 + 10 * i for i in range(10)] + [190] * 20)),
        "steady",
        "does not grow",
    ),
    "it grows fast and then ever less": (
        row(*(400 * (1 - 0.85**i) for i in range(30))),
        "steady",
        "levels off",
    ),
    "one step up is no slope": (row(*([100] * 15 + [200] * 15)), "inconclusive", "but not all the time"),
    "it swings up and down without a fall": (row(*([100, 110, 120, 110] * 8)), "steady", "does not grow"),
    "two readings are never enough": (row(100, 500), "inconclusive", "2 readings, 10 are needed"),
    "nothing was read": ((), "inconclusive", "0 readings"),
    "it grows to its limit, is killed, and does so again": (
        sawtooth(100, 500, 3),
        "leaks",
        "killed at its limit 2 times",
    ),
    "it falls back by itself far from the limit": (sawtooth(100, 250, 5), "steady", "falls back by itself"),
    "it fell back once, and nobody knows why": (
        sawtooth(100, 250, 2, points=10),
        "inconclusive",
        "a restart by somebody, or memory given back",
    ),
    "what collections leave behind grows": (
        row(*(value + 25 * tooth for tooth in range(6) for value in (50, 80, 110, 140))),
        "leaks",
        "what is left after it gives memory back grows",
    ),
    "it is killed before it can be measured": (
        row(*([100, 500] * 8)),
        "inconclusive",
        "restarted too often",
    ),
}


@pytest.mark.parametrize(("series", "verdict", "why"), STORIES.values(), ids=STORIES.keys())
def test_the_story_has_its_verdict_and_its_reason(series, verdict, why):
    leak = judge_leak(series, LIMIT)
    assert leak.verdict == verdict, leak
    assert why in leak.why


def test_a_leak_says_how_long_it_takes_to_the_limit():
    leak = judge_leak(row(*(100 + 4 * i for i in range(30))), LIMIT)
    assert leak.bytes_per_second == pytest.approx(4 * MIB / 60)
    assert leak.full_in == pytest.approx(timedelta(minutes=(512 - 216) / 4), abs=timedelta(seconds=1))


def test_without_a_limit_growth_is_still_a_leak_but_has_no_end():
    leak = judge_leak(row(*(100 + 4 * i for i in range(30))))
    assert (leak.verdict, leak.full_in) == ("leaks", None)


def test_a_fall_cuts_the_series():
    assert [len(fall) for fall in split_at_falls(row(100, 120, 50, 60, 70, 20))] == [2, 3, 1]


finite = st.floats(min_value=0, max_value=1e12)


@given(
    start=st.floats(50, 200),
    slope=st.floats(1.0, 10.0),
    count=st.integers(20, 60),
    wild=st.data(),
)
def test_up_to_a_fifth_of_wild_readings_moves_the_slope_little(start, slope, count, wild):
    values = [start + slope * i for i in range(count)]
    places = wild.draw(st.sets(st.integers(0, count - 1), max_size=count // 5))
    for place in places:
        values[place] *= wild.draw(st.floats(0.75, 1.3))
    found, agreement = slope_of([row(*values)])
    assert found * 60 / MIB == pytest.approx(slope, rel=0.6)
    assert agreement > 0


@given(
    slope=st.floats(1.5, 6.0),
    noise=st.lists(st.floats(-1, 1), min_size=30, max_size=30),
    start=st.floats(60, 300),
)
def test_steady_growth_with_little_noise_is_always_a_leak(slope, noise, start):
    assume(slope * 30 >= 45)
    leak = judge_leak(row(*(start + slope * i + item for i, item in enumerate(noise))), LIMIT)
    assert leak.verdict == "leaks"
    assert leak.bytes_per_second * 60 / MIB == pytest.approx(slope, rel=0.15)


@given(noise=st.lists(st.floats(-5, 5), min_size=FEWEST, max_size=60), level=st.floats(50, 400))
def test_noise_about_a_level_is_never_a_leak(noise, level):
    assert judge_leak(row(*(level + item for item in noise)), LIMIT).verdict != "leaks"


@given(points=st.lists(st.tuples(finite, finite), max_size=FEWEST - 1))
def test_a_short_history_is_always_inconclusive(points):
    assert judge_leak(tuple(sorted(points)), LIMIT).verdict == "inconclusive"


@given(
    points=st.lists(st.tuples(finite, finite), max_size=200),
    limit=st.one_of(st.none(), st.floats(min_value=1, max_value=1e12)),
)
@example(points=[(0.0, 1.0)] * 20, limit=None)
@example(points=[(float(i), float(i) * 1e-300) for i in range(20)], limit=1e12)
def test_whatever_was_read_there_is_a_verdict_in_words(points, limit):
    leak = judge_leak(tuple(sorted(points)), limit)
    assert leak.why
    assert leak.verdict in {"leaks", "steady", "inconclusive"}
    if leak.verdict == "leaks":
        assert leak.bytes_per_second > 0
