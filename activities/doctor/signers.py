"""Who can sign decisions: whether the worker reads its file of signers, and whether there are enough of them for long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from activities.authority.signers import Signer, Signers, read_signers
from activities.doctor.looking import NotSetError, Question, Threads, WrongError, questions
from runbook_model.catalog.policies import Approvals
from runbook_model.checks import Place
from runbook_model.errors import SignersError
from runbook_model.text.sentences import count_of

SOON = timedelta(days=30)


class SignerQuestions:
    """The question about signers of one environment."""

    def __init__(self, threads: Threads, place: Place, signers: Path | None) -> None:
        self._threads = threads
        self._approvals = place.where.approvals
        self._signers = signers

    def all(self) -> list[Question]:
        """Return it."""
        return questions({"signers": lambda: self._threads.run(self.look)})

    def look(self) -> str:
        """Look who could sign now, and for how long.

        Raises:
            WrongError: the file cannot be read, too few people could sign, or keys expire soon.
        """
        if not self._approvals.signed:
            raise NotSetError("decisions are not signed: approvals.signed is not set")
        try:
            return judge_signers(self._approvals, read_signers(self._signers), datetime.now(UTC))
        except SignersError as error:
            raise WrongError(error.message, error.fix) from error


def judge_signers(approvals: Approvals, signers: Signers, now: datetime) -> str:
    """Say that enough people could sign, now and in a month.

    Raises:
        WrongError: not so.
    """
    now_valid, later = (_people(approvals, signers, at) for at in (now, now + SOON))
    wanted = approvals.needed + 1
    if len(now_valid) < wanted:
        have = ", ".join(sorted(now_valid)) or "nobody"
        raise WrongError(
            f"{have} could sign, and {count_of(wanted, 'person', 'people')} should be able to: one may be away",
            f"add keys of {', '.join(sorted({*approvals.people} - now_valid)) or 'more people'} to {signers.source}",
        )
    if ending := sorted(now_valid - later):
        raise WrongError(
            f"the last key of {', '.join(ending)} expires within {SOON.days} days",
            f"add their next keys to {signers.source} now",
        )
    return f"{', '.join(sorted(now_valid))} can sign, by {signers.source}"


def _people(approvals: Approvals, signers: Signers, at: datetime) -> set[str]:
    """Name the people whom the policy names and who have a key that counts at a time."""
    return {
        person
        for signer in signers.all
        if _counts(approvals, signer, at)
        for person in signer.people
        if person in approvals.people
    }


def _counts(approvals: Approvals, signer: Signer, at: datetime) -> bool:
    return signer.refuses(at) is None and (signer.key.in_hardware or not approvals.hardware)
