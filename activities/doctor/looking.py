"""One check: a question that answers with a sentence, or fails with what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from runbook_model.checks import SECONDS, Check, row_of
from runbook_model.errors import RunbookError, ThrottledError
from runbook_model.text.sentences import quote, with_fix

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 12
"""Blocking questions of one examination that run at once; they are threads of its own, so that no change waits."""
THROTTLED_PAUSES = (0.3, 1.0)
DETAIL = 600
"""Characters of what was found."""


class NotSetError(Exception):
    """There is nothing to look at; the message says why."""


class WrongError(Exception):
    """Something is not as it must be: what, and the fix where it is not the usual one."""

    def __init__(self, detail: str, fix: str | None = None) -> None:
        self.fix = fix
        super().__init__(detail)


@dataclass(frozen=True)
class Question:
    """A row of the table of checks, about one environment or service, with the function that answers it."""

    name: str
    ask: Callable[[], Awaitable[str]]
    fix: str
    """What to do when it fails, unless the error says better."""
    seconds: float = SECONDS
    unknown: str | None = None
    """For what somebody else is asked about, who may not answer: what would let them. Then nothing is known of it."""


def questions(functions: Mapping[str, Callable[[], Awaitable[str]]], **names: str) -> list[Question]:
    """Return the rows that some functions answer.

    Args:
        functions: the function of each row, by the row's name.
        names: what the rows' fixes name: ``table``, ``service``, ``environment``.
    """
    rows = [(row_of(name), ask) for name, ask in functions.items()]
    return [Question(row.name, ask, row.fix.format(**names), row.seconds, row.unknown) for row, ask in rows]


class Threads:
    """Runs blocking questions while the event loop continues."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function that blocks; once nobody waits for it, it is left to its own time limit."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))


@contextmanager
def own_threads() -> Iterator[Threads]:
    """Give an examination threads of its own."""
    pool = ThreadPoolExecutor(THREADS, "doctor")
    try:
        yield Threads(pool)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


async def look(
    questions: Iterable[Question], environment: str, service: str | None = None
) -> tuple[Check, ...]:
    """Ask all questions at once; each becomes a check."""
    checks = await asyncio.gather(*(check(question) for question in questions))
    where = {"environment": environment, "service": service}
    return tuple(item.model_copy(update=where) for item in checks)


async def check(question: Question) -> Check:
    """Ask one question; whatever comes of it is a check."""
    try:
        async with asyncio.timeout(question.seconds):
            return Check(name=question.name, ok=True, detail=await _patiently(question.ask))
    except NotSetError as reason:
        return Check(name=question.name, ok=None, detail=str(reason))
    except WrongError as error:
        return _wrong(question, str(error), error.fix)
    except RunbookError as error:
        return _unanswered(question, error.message, error.fix)
    except TimeoutError:
        return _unanswered(question, f"no answer within {question.seconds:g} s", None)
    except Exception as error:  # noqa: BLE001 - one check that is broken must not hide the others
        return _wrong(question, f"the check itself failed: {type(error).__name__}: {quote(str(error))}", None)


async def _patiently(ask: Callable[[], Awaitable[str]]) -> str:
    for pause in THROTTLED_PAUSES:
        try:
            return await ask()
        except ThrottledError:  # that others ask much says nothing of what is asked for
            await asyncio.sleep(pause)
    return await ask()


def _unanswered(question: Question, what: str, fix: str | None) -> Check:
    if question.unknown is None:
        return _wrong(question, what, fix)
    return Check(
        name=question.name, ok=None, detail=with_fix(f"unknown: {what[:DETAIL]}", fix or question.unknown)
    )


def _wrong(question: Question, detail: str, fix: str | None) -> Check:
    return Check(name=question.name, ok=False, detail=detail[:DETAIL], fix=fix or question.fix)
