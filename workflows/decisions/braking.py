"""Whether something may be begun by itself: people's brakes, the back-off of a target, its rate, and how many at once. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from runbook_model.brakes import AutomaticStart, BrakeAnswer, BrakeBook, Held, Reservation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

MEMORY = timedelta(hours=24)
"""What was begun longer ago counts no more."""
LONGEST_RUN = timedelta(hours=6)
"""What was begun longer ago and never ended is taken for over."""
HOUR = timedelta(hours=1)
DOUBLINGS = 16


def reserve(book: BrakeBook, wanted: Reservation, now: datetime) -> tuple[BrakeAnswer, BrakeBook]:
    """Answer whether a procedure may be begun by itself; where it may, it is in the book that is returned."""
    if any(one.key == wanted.key and one.ended is None for one in book.starts):
        return BrakeAnswer(), book
    held = (
        book.holds(wanted.service)
        or _cooling(book.starts, wanted, now)
        or _too_often(book.starts, wanted, now)
        or _too_many(book.starts, wanted, now)
    )
    if held:
        return BrakeAnswer(held=held), book
    begun = AutomaticStart(key=wanted.key, service=wanted.service, procedure=wanted.procedure, began=now)
    return BrakeAnswer(), book.model_copy(update={"starts": (*forget(book, now).starts, begun)})


def finished(book: BrakeBook, key: str, now: datetime) -> BrakeBook:
    """Note that what was begun has ended."""
    begun = tuple(
        one.model_copy(update={"ended": now}) if one.key == key and one.ended is None else one
        for one in book.starts
    )
    return book.model_copy(update={"starts": begun})


def not_started(book: BrakeBook, key: str) -> BrakeBook:
    """Note that what was let through was not begun: it neither counts nor is let through once more for that."""
    return book.model_copy(update={"starts": tuple(one for one in book.starts if one.key != key)})


def forget(book: BrakeBook, now: datetime) -> BrakeBook:
    """Leave out what counts no more."""
    return book.model_copy(
        update={"starts": tuple(one for one in book.starts if now - (one.ended or one.began) < MEMORY)}
    )


def _cooling(begun: Sequence[AutomaticStart], wanted: Reservation, now: datetime) -> Held | None:
    """Hold the same procedure back for a while after its end, twice as long each time: what did not last may not help."""
    before = [
        one
        for one in begun
        if (one.service, one.procedure) == (wanted.service, wanted.procedure)
        and now - (one.ended or one.began) < MEMORY
    ]
    if not before:
        return None
    times = min(len(before) - 1, DOUBLINGS)
    wait = min(wanted.cool_down * 2**times, max(wanted.cool_down_max, wanted.cool_down))
    until = max(one.ended or one.began for one in before) + wait
    if now >= until:
        return None
    often = "once" if len(before) == 1 else f"{len(before)} times"
    why = f"{wanted.procedure} ran {often} lately and did not last; it may be begun again at {until:%H:%M:%S} UTC"
    return Held(kind="cooling", why=why, until=until)


def _too_often(begun: Sequence[AutomaticStart], wanted: Reservation, now: datetime) -> Held | None:
    lately = [one for one in begun if one.service == wanted.service and now - one.began < HOUR]
    if len(lately) < wanted.limits.per_service_per_hour:
        return None
    why = f"{len(lately)} procedures were begun by themselves on {wanted.service} within an hour: a person decides now"
    return Held(kind="rate", why=why)


def _too_many(begun: Sequence[AutomaticStart], wanted: Reservation, now: datetime) -> Held | None:
    targets = {one.service for one in begun if one.ended is None and now - one.began < LONGEST_RUN}
    if len(targets - {wanted.service}) < wanted.limits.targets_at_once:
        return None
    why = (
        f"{len(targets)} services of {wanted.environment} are being worked on at once, which looks like one cause: "
        "a person decides now"
    )
    return Held(kind="storm", why=why)
