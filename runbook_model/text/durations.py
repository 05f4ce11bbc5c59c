"""Durations as people write them: ``90s``, ``5m``, ``1h30m``, ``2d``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")
WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[dhms]))+")


def parse_duration(value: object) -> object:
    """Turn ``1h30m`` into a timedelta; a timedelta and ISO 8601 are left for pydantic to judge.

    Raises:
        ValueError: it is neither such a duration nor ISO 8601; a number is refused, as it has no unit.
    """
    if isinstance(value, timedelta) or (isinstance(value, str) and value.startswith(("P", "-P"))):
        return value
    if not isinstance(value, str) or not WHOLE.fullmatch(value):
        raise ValueError('must be a duration such as "90s", "5m" or "1h30m"')
    try:
        return timedelta(seconds=sum(float(number) * UNITS[unit] for number, unit in PART.findall(value)))
    except OverflowError:
        raise ValueError("is too long: no duration may be longer than 999999999d") from None


def format_duration(value: timedelta) -> str:
    """Write a duration as people say it: ``1h 30m``, ``4.2s``."""
    seconds = value.total_seconds()
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}".rstrip("0").rstrip(".") + "s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    return " ".join(f"{number}{unit}" for number, unit in parts if number)


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""A timedelta that TOML may write as ``"5m"``."""
