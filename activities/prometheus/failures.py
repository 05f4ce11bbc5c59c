"""By what a service's failures are counted: a series that is not there is not zero failures.

A counter of failures that never grew has no series in many libraries, and so has one that the service does not have at
all. Only the first is zero. Where failures are a part of the request counter, they are zero only if every series of it has
the label that would say so, written as the catalog's matcher expects it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from activities.prometheus import promql
from activities.prometheus.answers import NoData
from runbook_model.catalog.matchers import Matcher, label_name, quoted
from runbook_model.catalog.metrics import Convention
from runbook_model.catalog.target import Target

if TYPE_CHECKING:
    from activities.prometheus.client import Prometheus
    from activities.prometheus.promql import Failures

STATUS_LABELS = (
    "status",
    "code",
    "status_code",
    "http_status",
    "http_status_code",
    "response_code",
    "http_response_status_code",
)
"""Labels that hold a request's HTTP status in libraries that many use; the first that does counts."""
REMEMBERED = timedelta(days=30)
"""A counter of failures that existed within this time still does: it only did not grow since the service started."""
_STATUS = re.compile(r"0|[0-9](?:[0-9]{2}|[xX]{2})")
_FORMS = (
    (re.compile(r"[0-9]{3}"), tuple(str(status) for status in range(500, 600))),
    (re.compile(r"[0-9]xx"), ("5xx",)),
    (re.compile(r"[0-9]XX"), ("5XX",)),
    (re.compile(r"[0-9]"), tuple("12345")),
)
"""How libraries write a status, and what failures are then written as."""
NO_ANSWER = "0"
"""How proxies write the status of a request that its sender gave up."""
_ESCAPED = re.compile(r"\\.")


async def find_failures(prometheus: Prometheus, target: Target, now: datetime) -> Failures | NoData:
    """Find by what the target's failures are counted, or say that nothing counts them.

    Raises:
        OutsideError: Prometheus cannot be read.
    """
    if target.convention.by_matcher:
        return await _by_matcher(prometheus, target)
    counter = promql.counter_of(target)
    ours = promql.of_target(counter.counter, target, None)
    own, by_status = await asyncio.gather(
        prometheus.rows(f"count({ours})"), _requests_by(prometheus, target, STATUS_LABELS)
    )
    if isinstance(own, NoData):
        return own
    if isinstance(by_status, NoData):
        return by_status
    if own:
        return counter
    if target.convention.by_status and (label := status_label(by_status)):
        return promql.by_status(target, label)
    if await _is_declared(prometheus, target):
        return counter
    if await prometheus.has_series(ours, now - REMEMBERED, now):
        return counter
    return NoData(why=uncounted(target.convention, promql.selector(target, None)))


async def _by_matcher(prometheus: Prometheus, target: Target) -> Failures | NoData:
    """Find failures by the label that distinguishes them, where the live series have it in the form that is expected."""
    convention = target.convention
    names = [matcher.name for matcher in convention.failing]
    if not names:
        return NoData(why="requests and failures have the same selector: give metrics.failures a matcher")
    rows = await _requests_by(prometheus, target, names)
    if isinstance(rows, NoData):
        return rows
    where = promql.of_target(convention.requests, target, None)
    why = f"there is no live series of {where}" if not rows else cannot_tell(convention.failing, rows, where)
    return NoData(why=why) if why else promql.counter_of(target)


def cannot_tell(failing: Iterable[Matcher], series: Iterable[Mapping[str, str]], where: str) -> str:
    """Say why matchers cannot distinguish the failures among some series; empty where they can."""
    rows = list(series)
    for matcher in failing:
        values = [row.get(matcher.name, "") for row in rows]
        if not any(values):
            return f"nothing counts failures: {where} has no label {matcher.name}"
        if lacking := values.count(""):
            return f"failures may not be counted: {lacking} of {len(values)} series of {where} have no label {matcher.name}"
        never = sorted({value for value in values if not _could_match(matcher, value)} - {NO_ANSWER})
        if never or not {*values} - {NO_ANSWER}:
            shown = ", ".join(quoted(value) for value in (never or [NO_ANSWER])[:3])
            return (
                f"nothing counts failures: {where} has {matcher.name} {shown}, "
                f"and {matcher.text} selects nothing that is written so"
            )
    return ""


def _could_match(matcher: Matcher, value: str) -> bool:
    """Whether a matcher selects this value of a label, or one that is written in the same way."""
    if matcher.accepts(value) or matcher.operator.startswith("!"):
        return True
    for form, failures in _FORMS:
        if form.fullmatch(value):
            return any(matcher.accepts(failure) for failure in failures)
    wanted = matcher.wanted
    if matcher.operator == "=~":
        wanted = _ESCAPED.sub("", wanted)
        if ".+" in wanted or ".*" in wanted:
            return True
    return _letters(value) == _letters(wanted)


def _letters(text: str) -> tuple[bool, bool]:
    """Say whether a text has small letters, and capitals."""
    return any(letter.islower() for letter in text), any(letter.isupper() for letter in text)


def status_label(series: Iterable[Mapping[str, str]]) -> str | None:
    """Return the label in which every one of some series holds an HTTP status; None where none does."""
    rows = list(series)
    return next(
        (
            label
            for label in STATUS_LABELS
            if rows and all(_STATUS.fullmatch(row.get(label, "")) for row in rows)
        ),
        None,
    )


def uncounted(convention: Convention, where: str) -> str:
    """Say that nothing counts the failures, and what would."""
    status = f", and no label of {convention.requests.text} holds the HTTP status"
    return (
        f"nothing counts failures: there is no {convention.failures.text} of {where}"
        f"{status if convention.by_status else ''}"
    )


async def _requests_by(
    prometheus: Prometheus, target: Target, names: Iterable[str]
) -> list[dict[str, str]] | NoData:
    """Return the live series of requests by some of their labels, without the requests that are ignored."""
    labels = ", ".join(label_name(name) for name in names)
    requests = promql.of_users(target.convention.requests, target, None)
    rows = await prometheus.rows(f"count by ({labels}) ({requests})")
    return rows if isinstance(rows, NoData) else [found for found, _ in rows]


async def _is_declared(prometheus: Prometheus, target: Target) -> bool:
    """Whether a live task's last scrape had the counter's TYPE line."""
    rows = await _requests_by(prometheus, target, ("job", "instance"))
    live = [labels for labels in rows if labels.get("job")] if not isinstance(rows, NoData) else []
    if not live:
        return False
    asked = ", ".join(
        f"{name}=~{_any_of(row[name] for row in live if name in row)}" for name in ("job", "instance")
    )
    convention = target.convention
    found = await prometheus.declared(convention.failures.metric, f"{{{asked}}}")
    ours = convention.labels
    return any(all(labels.get(name, value) == value for name, value in ours.items()) for labels in found)


def _any_of(values: Iterable[str]) -> str:
    return quoted("|".join(re.escape(value) for value in sorted({*values})))
