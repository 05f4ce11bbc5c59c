"""Who can sign decisions, and what people agreed to beforehand: whether files can be read, are enough, and last a month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from activities.authority.signers import Signer, Signers, read_signers
from activities.authority.standing import Standing, check_standing, read_standing
from activities.doctor.looking import NotSetError, WrongError
from runbook_model.catalog.policies import Approvals
from runbook_model.checks import Place
from runbook_model.errors import Rejected, SignersError
from runbook_model.text.sentences import count_of

SOON = timedelta(days=30)


class SignerQuestions:
    """The questions about signatures of one environment."""

    def __init__(self, place: Place, signers: Path | None, standing: Path | None, namespace: str) -> None:
        self._environment = place.environment
        self._approvals = place.where.approvals
        self._signers = signers
        self._standing = Standing(standing)
        self._namespace = namespace

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

    def look_at_standing(self) -> str:
        """Look which standing statements count here, and for how long.

        Raises:
            WrongError: one cannot be read, does not count, or ends soon.
        """
        if not self._approvals.signed:
            raise NotSetError("decisions are not signed: approvals.signed is not set")
        files = self._standing.files()
        if not files:
            raise NotSetError(
                "no standing statement: RUNBOOK_STANDING of the worker names no folder with any"
            )
        now = datetime.now(UTC)
        try:
            signers = read_signers(self._signers)
        except SignersError as error:
            raise WrongError(error.message, error.fix) from error
        looked = [self._judge(path, signers, now) for path in files]
        if wrong := [problem for _, problem in looked if problem]:
            raise WrongError("; ".join(wrong), "sign it again with runbook standing sign, or remove the file")
        return ", ".join(name for name, _ in looked if name) or "none is for this environment"

    def _judge(self, path: Path, signers: Signers, now: datetime) -> tuple[str, str]:
        """Return what counts of a file, and what is wrong with it; nothing of one of another environment."""
        try:
            found = read_standing(path)
            if found.order.targets[0].partition("/")[0] != self._environment:
                return "", ""
            check_standing(found, self._environment, self._approvals, self._namespace, signers, now)
        except (Rejected, OSError) as error:
            return "", f"{path.name}: {error}"
        until = found.order.until
        if until <= now + SOON:
            return "", f"{path.name} ends within {SOON.days} days, at {until:%Y-%m-%d %H:%M} UTC"
        return f"{path.stem} until {until:%Y-%m-%d}", ""


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
