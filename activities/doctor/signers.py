"""Who can sign decisions, and what people agreed to beforehand: whether files can be read, are enough, and last a month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from activities.authority.signers import Signer, Signers, read_signers
from activities.authority.warrants import Standing, check_standing, read_standing
from activities.doctor.looking import NotSetError, WrongError
from runbook_model.catalog.policies import Approvals
from runbook_model.checks import Place
from runbook_model.errors import Rejected
from runbook_model.text.sentences import count_of

SOON = timedelta(days=30)


def look_at_signers(place: Place, file: Path | None) -> str:
    """Look who could sign now, and for how long.

    Raises:
        SignersError: the file cannot be read.
        WrongError: too few people could sign, or keys expire soon.
    """
    return judge_signers(_signed(place), read_signers(file), datetime.now(UTC))


def look_at_standing(place: Place, file: Path | None, folder: Path | None, namespace: str) -> str:
    """Look which standing statements count in a place, and for how long.

    Args:
        place: where they would count.
        file: who may sign.
        folder: where the statements are.
        namespace: the worker's.

    Raises:
        SignersError: it cannot be read who may sign.
        WrongError: one cannot be read, does not count, or ends soon.
    """
    approvals, files = _signed(place), Standing(folder).files()
    if not files:
        raise NotSetError("no standing statement: RUNBOOK_STANDING of the worker names no folder with any")
    signers = read_signers(file)
    counted: list[str] = []
    wrong: list[str] = []
    for path in files:
        try:
            counted.append(_until(path, place, approvals, namespace, signers))
        except (Rejected, OSError) as error:
            wrong.append(f"{path.name}: {error}")
        except WrongError as error:
            wrong.append(str(error))
    if wrong:
        raise WrongError("; ".join(wrong), "sign it again with runbook standing sign, or remove the file")
    return ", ".join(filter(None, counted)) or "none is for this environment"


def _signed(place: Place) -> Approvals:
    if not place.where.approvals.signed:
        raise NotSetError("decisions are not signed: approvals.signed is not set")
    return place.where.approvals


def _until(path: Path, place: Place, approvals: Approvals, namespace: str, signers: Signers) -> str:
    """Say until when a file counts; empty for one of another environment."""
    now, found = datetime.now(UTC), read_standing(path)
    if found.order.targets[0].partition("/")[0] != place.environment:
        return ""
    check_standing(found, place.environment, approvals, namespace, signers, now)
    until = found.order.until
    if until <= now + SOON:
        raise WrongError(f"{path.name} ends within {SOON.days} days, at {until:%Y-%m-%d %H:%M} UTC")
    return f"{path.stem} until {until:%Y-%m-%d}"


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
