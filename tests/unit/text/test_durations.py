from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from runbook_model.text.durations import Duration, format_duration, parse_duration

WRITTEN = [
    ("0s", timedelta(0)),
    ("90s", timedelta(seconds=90)),
    ("5m", timedelta(minutes=5)),
    ("1h30m", timedelta(minutes=90)),
    ("2d", timedelta(days=2)),
    ("250ms", timedelta(milliseconds=250)),
    ("1.5h", timedelta(minutes=90)),
    ("PT5M", timedelta(minutes=5)),
]
DURATION = TypeAdapter(Duration)


@pytest.mark.parametrize(("text", "value"), WRITTEN)
def test_durations_are_written_as_people_do_or_as_iso_8601(text, value):
    assert DURATION.validate_python(text) == value


@pytest.mark.parametrize(
    "text", ["", "5", "5 m", "m5", "5x", "five minutes", "-5m", "1h30", "5m,", 5, 0.5, True, float("nan")]
)
def test_anything_else_is_refused_with_examples_a_number_without_a_unit_too(text):
    with pytest.raises(ValidationError, match='must be a duration such as "90s", "5m" or "1h30m"'):
        DURATION.validate_python(text)


def test_a_duration_that_no_clock_will_see_is_refused_too():
    with pytest.raises(ValidationError, match="is too long"):
        DURATION.validate_python(f"{'9' * 20}d")


@given(st.text(alphabet="0123456789.hmsd Px-", max_size=40))
def test_no_text_breaks_the_reading_of_durations(text):
    with suppress(ValidationError):
        assert isinstance(DURATION.validate_python(text), timedelta)


@given(st.integers(0, 10**9))
def test_whole_seconds_come_back_as_they_were_written(seconds):
    value = timedelta(seconds=seconds)
    assert parse_duration(format_duration(value).replace(" ", "")) == value


@given(st.integers(0, 599))
def test_tenths_of_a_second_come_back_below_a_minute(tenths):
    value = timedelta(seconds=tenths / 10)
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=4.2), "4.2s"),
        (timedelta(seconds=10), "10s"),
        (timedelta(seconds=59.96), "1m"),
        (timedelta(minutes=90), "1h 30m"),
        (timedelta(days=1, seconds=5), "1d 5s"),
    ],
)
def test_durations_are_reported_as_people_say_them(value, text):
    assert format_duration(value) == text


def test_a_duration_survives_json():
    value = timedelta(minutes=90)
    assert DURATION.validate_json(DURATION.dump_json(value)) == value
