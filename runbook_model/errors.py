"""Every error that an activity may end with, or a message be refused with, as one tree; each class says what it means.

Each has a ``message``, which says what is wrong, and a ``fix`` where one is known:
RunbookError
  * InputError: CatalogError, UnknownTargetError
  * PolicyError
  * SignersError
  * OutsideError: AccessDeniedError, CredentialsError, ThrottledError, BusyError, NotFoundError, RejectedError
    * UnreachableError: NotServingError, EngineFailedError
    * NoConnectionLeftError: PoolerFullError
    * StateLockedError, TerraformError, ApplyFailedError
  * FenceError: DriftedError, EndedError, UnknownReplyError, StalePlanError, CutOffApplyError, NotWarrantedError
  * SealedError: MissingKeyError, TamperedError
  * NotYetError
  * TooLateError
  * Rejected: InvalidMessage
  * BugError
"""

from __future__ import annotations

from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from runbook_model.text.plain_text import one_line
from runbook_model.text.sentences import with_fix

BENIGN = ApplicationErrorCategory.BENIGN

FIX = "fix"
"""The key of the fix among the details of an error of Temporal."""


class RunbookError(Exception):
    """The root: what is wrong, and next to it how to fix it where that is known."""

    retryable = False
    expected = False
    """Part of the day's work: logged at DEBUG by Temporal, not as a failure."""
    certainly_not_made = False
    """Raised within a fenced change: neither this attempt nor one before it changed anything."""
    retry_in: timedelta | None = None
    """When to try again, where the error knows better than the retry policy."""

    def __init__(
        self, message: str = "", *, fix: str | None = None, **known: bool | timedelta | None
    ) -> None:
        """Say what is wrong.

        Args:
            message: what is wrong, without a full stop.
            fix: what a person does about it; None where the error does not know.
            known: what is known of this very error, where it is not as its kind: ``retryable``, ``retry_in`` …
        """
        self.message = message
        self.fix = fix
        super().__init__(message)
        for name, value in known.items():
            assert hasattr(self, name), name
            setattr(self, name, value)

    def __str__(self) -> str:
        """Return both in one line."""
        return with_fix(self.message, self.fix)

    def to_application_error(self) -> ApplicationError:
        """Translate for Temporal; the type's name is what workflows see in ``ApplicationError.type``.

        The first detail says whether a change was certainly not made, the second holds the fix by its name.
        """
        return ApplicationError(
            one_line(self.message),  # it may quote what others said
            self.certainly_not_made,
            *([{FIX: one_line(self.fix)}] if self.fix else []),
            type=type(self).__name__,
            non_retryable=not self.retryable,
            next_retry_delay=self.retry_in,
            category=BENIGN if self.expected else ApplicationErrorCategory.UNSPECIFIED,
        )


class InputError(RunbookError):
    """What was asked cannot be done as asked."""


class CatalogError(InputError):
    """The catalog file is wrong; ``problems`` are all its faults, a line each."""

    def __init__(self, *problems: str, fix: str | None = None) -> None:
        """Say what is wrong.

        Args:
            problems: all faults, of which the message has the first.
            fix: what a person does about the only one; None where each says it itself.
        """
        self.problems = (with_fix(problems[0], fix),) if fix else problems
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}", fix=fix or "`runbook catalog check` shows all")


class UnknownTargetError(InputError):
    """No such service or environment in the catalog."""


class PolicyError(RunbookError):
    """What was asked is not allowed here; the message says who may."""


class SignersError(RunbookError):
    """Who may sign decisions cannot be read; tried again, until a person has put it right."""

    retryable = True
    retry_in = timedelta(seconds=15)


class OutsideError(RunbookError):
    """An outside system answered badly."""

    may_have_landed = False
    """Whether the call may have taken effect, or still may, although no good answer came."""


class AccessDeniedError(OutsideError):
    """A permission is missing; the fix names it."""


class CredentialsError(OutsideError):
    """Credentials are missing or have expired; a person renews them and the step continues."""

    retryable = True
    retry_in = timedelta(seconds=15)


class ThrottledError(OutsideError):
    """Too many calls; tried again later."""

    retryable = True
    expected = True


class BusyError(OutsideError):
    """Somebody else changes the same thing at this moment; nothing of ours was done, and it is tried again."""

    retryable = True
    expected = True


class UnreachableError(OutsideError):
    """No answer in time, or a server error (5xx); tried again."""

    retryable = True
    may_have_landed = True


class NotServingError(UnreachableError):
    """Nothing listens there, or it is only starting or ending."""

    may_have_landed = False


class EngineFailedError(UnreachableError):
    """The Docker engine answered that it could not do what it was asked, and is done with it."""


class NoConnectionLeftError(OutsideError):
    """The database has as many connections as it may have, also those that are held back for us."""

    retryable = True
    expected = True


class PoolerFullError(NoConnectionLeftError):
    """A connection pooler takes no more clients; the database was not reached."""


class NotFoundError(OutsideError):
    """The thing that was asked about does not exist."""


class RejectedError(OutsideError):
    """The outside system refused the call for good."""


class StateLockedError(OutsideError):
    """Terraform's state is locked; the message says by whom and since when, the fix what to do if they died holding it."""


class TerraformError(OutsideError):
    """Terraform could not plan; it only read."""

    retryable = True


class ApplyFailedError(OutsideError):
    """Terraform started to apply a plan and stopped; some of it may be done."""

    may_have_landed = True


class FenceError(RunbookError):
    """A change was not made, or cannot be known to have been made."""


class DriftedError(FenceError):
    """Somebody else changed the service after the plan was made; theirs is left alone."""


class EndedError(FenceError):
    """A deployment was not stopped: it has finished, or ends the old tasks; people are asked about what is next."""


class UnknownReplyError(FenceError):
    """The change may have been applied, and nothing tells; it is never sent twice, and a person looks."""


class StalePlanError(FenceError):
    """What Terraform would do now is not what was approved; nothing was applied."""


class CutOffApplyError(FenceError):
    """An apply was cut off and something is left to do; it is not applied again without a person's yes."""


class NotWarrantedError(FenceError):
    """Decisions are signed here, and no valid yes is for this very call; nothing was sent, people are asked again."""


class SealedError(RunbookError):
    """What a history holds cannot be decrypted here; tried again, until it can."""

    retryable = True


class MissingKeyError(SealedError):
    """This process lacks the key that something was encrypted with; the message names it."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f'encrypted with key "{key_id}", which is not among the keys here',
            fix="add its line to RUNBOOK_CODEC_KEYS (or to the file RUNBOOK_CODEC_KEYS_FILE) and start again",
        )


class TamperedError(SealedError):
    """The key that something was encrypted with does not open it."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f'encrypted with a key "{key_id}" that is not the one of that name here, or changed since',
            fix=f'compare "{key_id}" in RUNBOOK_CODEC_KEYS with that of the workers',
        )


class NotYetError(RunbookError):
    """What is waited for has not come: looked for again later, with nothing under way until then."""

    retryable = True
    expected = True

    def __init__(self, why: str, again_in: timedelta) -> None:
        self.retry_in = again_in
        super().__init__(why)


class TooLateError(RunbookError):
    """A change was not sent: it could still have been under way when the next attempt starts; it is tried again."""

    retryable = True


class Rejected(RunbookError):  # noqa: N818 - clients know it by this name
    """A message that was sent to a run cannot be used now: a rule forbids it, or it comes too late."""


class InvalidMessage(Rejected):
    """A message that was sent to a run does not fit what is expected."""


class BugError(RunbookError):
    """An activity failed in its own code: a few attempts, as half an hour of them would only hide it from those who wait."""

    ATTEMPTS = 5
    """Some bugs only show on an answer that does not come twice, so a few are worth it: some 15 seconds."""

    def __init__(self, where: str, text: str, attempt: int) -> None:
        self.retryable = attempt < self.ATTEMPTS
        self.retry_in = timedelta(seconds=2 ** (attempt - 1)) if self.retryable else None
        super().__init__(f"{where} failed in its own code ({text})", fix="see the worker's log and report it")
