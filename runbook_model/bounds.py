"""What is kept and sent stays below what Temporal takes: 2 MiB a payload, 50 MiB a history. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from pydantic import BaseModel

T = TypeVar("T")
SomeReport = TypeVar("SomeReport", bound=BaseModel)

REPORT_BYTES = 1024 * 1024
"""Of a report as a run's result, and as its answer to ``status``."""
PROGRESS_BYTES = 128 * 1024
"""Of what a procedure reports to its incident, and what an incident keeps of the one under way."""
ENDED_BYTES = 16 * 1024
"""Of what an incident keeps of one that has ended."""
LEVELS = ((2000, 200), (500, 100), (200, 40), (80, 10), (40, 2))
"""How long texts and lists may be, each level for what the one before did not make small enough."""
WHOLE = frozenset({"checkpoint", "plan", "plan_hash"})
"""What people answer to is whole, or is not there."""


def size_of(model: BaseModel) -> int:
    """Return how many bytes a model has as a payload."""
    return len(model.model_dump_json().encode())


def within(report: SomeReport, most: int) -> SomeReport:
    """Shorten a report's texts and lists until it has no more than so many bytes; of lists the newest are kept."""
    for texts, items in LEVELS:
        if size_of(report) <= most:
            return report
        report = _shortened(report, texts, items, but=WHOLE)
    if size_of(report) > most:
        report = report.model_copy(update={"checkpoint": None, "plan": None})
    return report


def _shortened(model: Any, texts: int, items: int, but: frozenset[str] = frozenset()) -> Any:
    update = {
        name: _cut(getattr(model, name), texts, items) for name in type(model).model_fields if name not in but
    }
    return model.model_copy(update=update)


def _cut(value: Any, texts: int, items: int) -> Any:
    if isinstance(value, BaseModel):
        return _shortened(value, texts, items)
    if isinstance(value, str) and not isinstance(value, Enum):
        return cut_text(value, texts)
    if isinstance(value, tuple):
        return tuple(_cut(item, texts, items) for item in value[-items:])
    if isinstance(value, list):
        return [_cut(item, texts, items) for item in value[-items:]]
    if isinstance(value, dict):
        return {name: _cut(item, texts, items) for name, item in list(value.items())[-items:]}
    return value


def cut_text(text: str, most: int) -> str:
    """Return a text of no more than so many bytes; a cut is visible."""
    if len(text.encode()) <= most:
        return text
    return text.encode()[: most - len("…".encode())].decode(errors="ignore") + "…"


def keep_newest(items: tuple[T, ...], most: int, sender: Callable[[T], str]) -> tuple[T, ...]:
    """Keep so many; the oldest of whoever has most of them goes, so that one sender pushes nobody else's out."""
    kept = list(items)
    while len(kept) > most:
        ((loudest, _),) = Counter(map(sender, kept)).most_common(1)
        kept.remove(next(item for item in kept if sender(item) == loudest))
    return tuple(kept)
