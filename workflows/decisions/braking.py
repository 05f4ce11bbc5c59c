"""Whether something may be started automatically: people's brakes, the back-off of a target, its rate, and how many at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from runbook_model.brakes import AutomaticStart, Block, BrakeAnswer, BrakeBook, Reservation

MEMORY = timedelta(hours=24)
"""What was started longer ago counts no more."""
LONGEST_RUN = timedelta(hours=6)
"""What was started longer ago and never ended is taken for over."""
HOUR = timedelta(hours=1)
DOUBLINGS = 16


def reserve(book: BrakeBook, wanted: Reservation, now: datetime) -> tuple[BrakeAnswer, BrakeBook]:
    """Answer whether a procedure may be started automatically; where it may, it is in the book that is returned."""
    if any(start.key == wanted.key and start.ended is None for start in book.starts):
        return BrakeAnswer(), book
    held = (
        book.holds(wanted.service)
        or _cooling(book.starts, wanted, now)
        or _too_often(book.starts, wanted, now)
        or _too_many(book.starts, wanted, now)
    )
    if held:
        return BrakeAnswer(held=held), book
    started = AutomaticStart(key=wanted.key, service=wanted.service, procedure=wanted.procedure, began=now)
    return BrakeAnswer(), book.model_copy(update={"starts": (*forget(book, now).starts, started)})


def finished(book: BrakeBook, key: str, now: datetime) -> BrakeBook:
    """Note that what was started has ended."""
    started = tuple(
        start.model_copy(update={"ended": now}) if start.key == key and start.ended is None else start
        for start in book.starts
    )
    return book.model_copy(update={"starts": started})


def not_started(book: BrakeBook, key: str) -> BrakeBook:
    """Note that what was let through was not started: it neither counts nor is let through once more for that."""
    return book.model_copy(update={"starts": tuple(start for start in book.starts if start.key != key)})


def forget(book: BrakeBook, now: datetime) -> BrakeBook:
    """Leave out what counts no more."""
    return book.model_copy(
        update={
            "starts": tuple(start for start in book.starts if now - (start.ended or start.began) < MEMORY)
        }
    )


def _cooling(started: Sequence[AutomaticStart], wanted: Reservation, now: datetime) -> Block | None:
    """Block the same procedure for some time after its end, twice as long each time: what did not last may not help."""
    before = [
        item
        for item in started
        if (item.service, item.procedure) == (wanted.service, wanted.procedure)
        and now - (item.ended or item.began) < MEMORY
    ]
    if not before:
        return None
    times = min(len(before) - 1, DOUBLINGS)
    wait = min(wanted.cool_down * 2**times, max(wanted.cool_down_max, wanted.cool_down))
    until = max(item.ended or item.began for item in before) + wait
    if now >= until:
        return None
    often = "once" if len(before) == 1 else f"{len(before)} times"
    why = f"{wanted.procedure} ran {often} recently and the problem is back; it may start by itself again at {until:%H:%M:%S} UTC"
    return Block(kind="cooling", why=why, until=until)


def _too_often(started: Sequence[AutomaticStart], wanted: Reservation, now: datetime) -> Block | None:
    lately = [item for item in started if item.service == wanted.service and now - item.began < HOUR]
    if len(lately) < wanted.limits.per_service_per_hour:
        return None
    why = f"{len(lately)} procedures started automatically on {wanted.service} within an hour: a person decides now"
    return Block(kind="rate", why=why)


def _too_many(started: Sequence[AutomaticStart], wanted: Reservation, now: datetime) -> Block | None:
    targets = {item.service for item in started if item.ended is None and now - item.began < LONGEST_RUN}
    if len(targets - {wanted.service}) < wanted.limits.targets_at_once:
        return None
    why = (
        f"{len(targets)} services of {wanted.environment} are being worked on at once, which looks like one cause: "
        "a person decides now"
    )
    return Block(kind="storm", why=why)
