"""What a failure or an abort means for the outcome. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.exceptions import ApplicationError, FailureError

from runbook_model.errors import FIX
from runbook_model.messages import Abort
from runbook_model.reports import Change, Ending, Outcome, Problem
from runbook_model.text.sentences import quote, sentence

ASKED_WRONGLY = frozenset({"InputError", "CatalogError", "UnknownTargetError"})

NOT_ALLOWED = "PolicyError"

NOT_WARRANTED = "NotWarrantedError"


def cause_of(error: BaseException) -> ApplicationError | None:
    """Find what an activity failed with, beneath Temporal's own errors."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, ApplicationError):
        found = found.__cause__
    return found


def certainly_not_made(error: FailureError) -> bool:
    """Whether a change that failed so was not made by any of its attempts; the activity says so itself."""
    cause = cause_of(error)
    return cause is not None and True in cause.details  # what cannot be read is no yes


def not_warranted(error: FailureError) -> Problem | None:
    """Return why a change was not sent for want of a valid signed yes; None where it failed otherwise."""
    problem = problem_of(error)
    return problem if problem.kind == NOT_WARRANTED else None


def problem_of(error: BaseException) -> Problem:
    """Say what a step failed with: the error that an activity raised, with its fix, beneath Temporal's own errors."""
    cause = cause_of(error)
    if cause is None:
        return Problem(kind="timeout", message=quote(str(error.__cause__ or error)))
    return Problem(kind=cause.type or "error", message=cause.message, fix=fix_of(cause))


def failed_ending(error: FailureError, changes: Sequence[Change]) -> Ending:
    """End a procedure one of whose steps failed for good."""
    problem = problem_of(error)
    kind, said = problem.kind, sentence(problem.line)
    if kind == "DriftedError":
        return Ending(outcome=Outcome.SUPERSEDED, summary=f"Left to a person: {said}", error=problem)
    if kind in {*ASKED_WRONGLY, NOT_ALLOWED} and not changes:
        refusal = problem.model_copy(update={"kind": "policy" if kind == NOT_ALLOWED else "input"})
        return Ending(outcome=Outcome.REFUSED, summary=f"Refused: {said}", error=refusal)
    if changes:
        summary = f"The result is unknown: {said} {_made(changes)} A person must check now."
        return Ending(outcome=Outcome.INCONCLUSIVE, summary=summary, error=problem)
    return Ending(
        outcome=Outcome.FAILED, summary=f"Failed before anything was changed: {said}", error=problem
    )


def bug_ending(error: Exception, changes: Sequence[Change]) -> Ending:
    """End a procedure that failed in its own code."""
    problem = Problem(kind="bug", message=f"{type(error).__name__}: {quote(str(error))}")
    summary = (
        f"The procedure itself failed: {sentence(problem.message)} {_made(changes)} A person must check now."
    )
    return Ending(outcome=Outcome.INCONCLUSIVE if changes else Outcome.FAILED, summary=summary, error=problem)


def aborted_ending(
    order: Abort, changes: Sequence[Change], *, keeps: bool = True, undo_stop: Abort | None = None
) -> Ending:
    """End a procedure that a person stopped.

    Args:
        order: to stop it.
        changes: with what became of each.
        keeps: whether nothing was to be undone.
        undo_stop: a second order, which stopped the undo.
    """
    summary = f"Aborted by {order.by} ({order.reason}). {_made(changes)}"
    if not keeps and any(change.undone is None for change in changes):
        summary += " What has no undo stays as it is."
    if undo_stop:
        summary += f" {undo_stop.by} stopped the undo ({undo_stop.reason}): what is there is kept. A person must check now."
    return Ending(outcome=Outcome.ABORTED, summary=summary)


def _made(changes: Sequence[Change]) -> str:
    if not changes:
        return "Nothing was changed."
    text = (f"{change.action} {change.before} → {change.after}: {change.fate}" for change in changes)
    return sentence(f"Changes: {'; '.join(text)}")


def fix_of(error: ApplicationError) -> str | None:
    """Return the fix that an error of ours brought through Temporal."""
    found = (detail.get(FIX) for detail in error.details if isinstance(detail, dict))
    return next((fix for fix in found if isinstance(fix, str)), None)
