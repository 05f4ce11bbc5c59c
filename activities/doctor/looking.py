"""One check: a function that answers with a sentence, or fails with what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from inspect import iscoroutinefunction
from typing import TypeVar

from runbook_model.catalog.target import Target
from runbook_model.checks import Check, Place, Row, row_of
from runbook_model.errors import OutsideError, RunbookError, ThrottledError
from runbook_model.text.sentences import quote, with_fix

A = TypeVar("A")
Questions = Mapping[str, Callable[[A], str | Awaitable[str]]]
"""The function of each row of the table of checks, by the row's name; one that blocks has a thread."""

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


@contextmanager
def naming(address: str) -> Iterator[None]:
    """Say which address it was that did not answer."""
    try:
        yield
    except OutsideError as error:
        raise WrongError(f"{address}: {error.message}", error.fix) from error


async def look(questions: Questions[A], given: A, at: Place | Target) -> tuple[Check, ...]:
    """Ask all questions of a place or a service at once; each becomes a check.

    Args:
        questions: those of them that there are.
        given: what each of them is given.
        at: what is looked at.
    """
    service = at.service if isinstance(at, Target) else None
    names = {"table": at.table, "service": service, "environment": at.environment}
    platform = at.platform if isinstance(at, Target) else at.where.platform
    pool = ThreadPoolExecutor(THREADS, "doctor")
    asked = []
    for name, function in questions.items():
        row = row_of(name)
        ask = partial(_ask, row.by_compose if platform == "compose" else "", pool, function, given)
        asked.append(check(row._replace(fix=row.fix.format(**names)), ask))
    try:
        checks = await asyncio.gather(*asked)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    where = {"environment": at.environment, "service": service}
    return tuple(item.model_copy(update=where) for item in checks)


async def _ask(
    unset: str, pool: ThreadPoolExecutor, function: Callable[[A], str | Awaitable[str]], given: A
) -> str:
    """Ask a question; once nobody waits for a blocking one, it is left to its own time limit."""
    if unset:
        raise NotSetError(unset)
    blocks = not iscoroutinefunction(function)
    loop = asyncio.get_running_loop()
    answer = await loop.run_in_executor(pool, function, given) if blocks else function(given)
    return answer if isinstance(answer, str) else await answer


async def check(row: Row, ask: Callable[[], Awaitable[str]]) -> Check:
    """Ask the question of one row; whatever comes of it is a check."""
    try:
        async with asyncio.timeout(row.seconds):
            return Check(name=row.name, ok=True, detail=await _patiently(ask))
    except NotSetError as reason:
        return Check(name=row.name, ok=None, detail=str(reason))
    except WrongError as error:
        return _wrong(row, str(error), error.fix)
    except RunbookError as error:
        return _unanswered(row, error.message, error.fix)
    except TimeoutError:
        return _unanswered(row, f"no answer within {row.seconds:g} s", None)
    except Exception as error:  # noqa: BLE001 - one check that is broken must not hide the others
        return _wrong(row, f"the check itself failed: {type(error).__name__}: {quote(str(error))}", None)


async def _patiently(ask: Callable[[], Awaitable[str]]) -> str:
    for pause in THROTTLED_PAUSES:
        try:
            return await ask()
        except ThrottledError:  # that others ask much says nothing of what is asked for
            await asyncio.sleep(pause)
    return await ask()


def _unanswered(row: Row, what: str, fix: str | None) -> Check:
    if row.unknown is None:
        return _wrong(row, what, fix)
    return Check(name=row.name, ok=None, detail=with_fix(f"unknown: {what[:DETAIL]}", fix or row.unknown))


def _wrong(row: Row, detail: str, fix: str | None) -> Check:
    return Check(name=row.name, ok=False, detail=detail[:DETAIL], fix=fix or row.fix)
