"""One check: a question that answers with a sentence, or fails with what is wrong."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from runbook_model.checks import Check
from runbook_model.errors import RunbookError, ThrottledError
from runbook_model.sentences import quote, with_fix

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 5.0
"""For one check."""
THREADS = 12
"""Blocking questions of one examination that run at once; they are threads of its own, so that no change waits."""
THROTTLED_PAUSES = (0.3, 1.0)
LONGEST = 600
POLICY = "allow the worker's role what deploy/iam-policy.json lists"


class NotSetError(Exception):
    """There is nothing to look at; the message says why."""


class WrongError(Exception):
    """Something is not as it must be: what, and the fix where it is not the usual one."""

    def __init__(self, detail: str, fix: str | None = None) -> None:
        self.fix = fix
        super().__init__(detail)


@dataclass(frozen=True)
class Question:
    """One thing to look at."""

    name: str
    ask: Callable[[], Awaitable[str]]
    fix: str
    """What to do when it fails, unless the error says better."""
    seconds: float = SECONDS
    untold: str | None = None
    """For what somebody else is asked about, who may not answer: what would let him. Then nothing is known of it."""


class Threads:
    """Runs blocking questions beside the event loop."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function that blocks; who no longer waits for it leaves it to its own time limit."""
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
    checks = await asyncio.gather(*(check(one) for one in questions))
    where = {"environment": environment, "service": service}
    return tuple(one.model_copy(update=where) for one in checks)


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
    if question.untold is None:
        return _wrong(question, what, fix)
    return Check(
        name=question.name, ok=None, detail=with_fix(f"not told: {what[:LONGEST]}", fix or question.untold)
    )


def _wrong(question: Question, detail: str, fix: str | None) -> Check:
    return Check(name=question.name, ok=False, detail=detail[:LONGEST], fix=fix or question.fix)
