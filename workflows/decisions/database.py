"""What is wrong with a service's database, and which sessions to end. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum

from runbook_model import calls
from runbook_model.catalog.service_policies import Database
from runbook_model.catalog.target import Target
from runbook_model.measured.database import DatabaseRead, LockWait, Session, SessionName
from runbook_model.messages import Message
from runbook_model.plans import Plan
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import count_of

SHOWN = 5
SLOW = timedelta(seconds=0.1)
"""Statements that take less on average are not worth a word."""


class Cause(StrEnum):
    """What is behind the symptoms."""

    DOWN = "down"
    """It takes no connections, not even ours; or it has none left for anybody."""
    LEAK = "leak"
    """One application holds so many forgotten sessions that without them there would be room."""
    LOCKS = "locks"
    """Sessions wait for a lock that another does not give back."""
    LOAD = "load"
    """There is no room, and nobody forgot anything: more is asked for than there is."""
    POOL = "pool"
    """There may be room, but a pool gives none of it: the service's own is used up, or a pooler takes no more clients."""
    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    """Too little could be seen."""


NO_TROUBLE = frozenset({Cause.HEALTHY, Cause.UNKNOWN})


class Diagnosis(Message):
    """A cause with what speaks for it."""

    cause: Cause
    because: tuple[str, ...]
    """The evidence, a sentence each; the first says it best."""
    application: str = ""
    """Who holds what others need, where that is one."""
    sessions: tuple[Session, ...] = ()
    """The forgotten sessions whose end would help."""

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"{self.cause}: {'; '.join(self.because)}"

    @property
    def left_to_person(self) -> str:
        """How a run ends that changes nothing; good readings alone do not end what a person asked for."""
        if self.cause is Cause.HEALTHY:
            because = "; ".join(self.because)
            return f"Nothing that was read of the database is wrong, and nothing was changed: {because}. If something is still wrong, look elsewhere."
        return f"Left to a person, nothing was changed: {self.summary}."


class DatabaseSigns(Message):
    """What a look into the database says to another procedure."""

    summary: str
    trouble: str | None = None
    """What is wrong with it; None where nothing is, or where that is not known."""
    forgotten: bool = False
    """Forgotten sessions hold what others need: answers are slow whatever load there is."""
    known: bool = True


class TerminatePlan(Plan):
    """Which sessions are ended: exactly these."""

    sessions: tuple[SessionName, ...]
    application: str


def classify(read: DatabaseRead, policy: Database) -> Diagnosis:
    """Name the cause from what was read; what is forgotten counts only after the catalog's ``leaked_after``."""
    seen = tuple(_evidence(read))
    if read.standing != "serves":
        return _not_serving(read)
    if read.hidden:
        rights = "grant it pg_monitor and pg_signal_backend"
        return Diagnosis(
            cause=Cause.UNKNOWN,
            because=(f"our role may not look into {read.hidden} sessions: {rights}", *seen),
        )
    full = is_full(read.used, read.open_to_services, policy)
    return (
        (full and _leak(read, policy, seen))
        or _locks(read, policy, seen)
        or Diagnosis(cause=Cause.LOAD if full else Cause.HEALTHY, because=seen)
    )


def signs_of(read: DatabaseRead | None, policy: Database) -> DatabaseSigns:
    """Say what a look into the database shows; None where it could not be asked at all."""
    if read is None:
        return DatabaseSigns(summary="the database could not be asked", known=False)
    return signs_from(classify(read, policy))


def signs_from(found: Diagnosis) -> DatabaseSigns:
    """Say what a cause means to another procedure."""
    trouble = f"database {found.cause}: {found.because[0]}" if found.cause not in NO_TROUBLE else None
    return DatabaseSigns(
        summary=f"database {found.summary}",
        trouble=trouble,
        forgotten=bool(found.sessions),
        known=found.cause is not Cause.UNKNOWN,
    )


def is_full(used: int, open_to_services: int, policy: Database) -> bool:
    """Whether there is too little room left."""
    return used >= policy.full * open_to_services


def belongs_to(owner: str, target: Target) -> bool:
    """Whether sessions of an application are the service's own: it has the service's name, or that of a release of it."""
    name, release, _ = owner.partition(":")
    return name in {target.service, f"{target.service}-{target.environment}"} or (
        bool(release) and name.startswith(target.service)
    )


def plan_terminate(
    target: Target, diagnosis: Diagnosis, planned: tuple[SessionName, ...] = ()
) -> TerminatePlan | None:
    """Plan to end the forgotten sessions; None where there is none, or no application to name.

    Sessions that were planned before and are still forgotten stay the plan: others that were forgotten meanwhile do not
    make a given yes void, they are just not ended by it.
    """
    found = {session.name: session for session in diagnosis.sessions}
    still = planned and all(name in found for name in planned)
    sessions = tuple(found[name] for name in planned) if still else diagnosis.sessions
    if not sessions:
        return None
    names = tuple(
        sorted((session.name for session in sessions), key=lambda name: (name.backend_start, name.pid))
    )
    of = diagnosis.application
    count = f"{len(names)} forgotten session{'s' if len(names) > 1 else ''}"
    return TerminatePlan(
        headline=f"End {count} of {of} in the database of {target.service} in {target.environment}",
        calls=(calls.terminate(names),),
        because=(*diagnosis.because, *(session.summary for session in sessions[:SHOWN])),
        not_restored=(
            "PostgreSQL rolls back the open transactions of these sessions: their uncommitted changes are lost.",
            f"What makes {of} forget them stays as it is.",
        ),
        needs_yes=None if belongs_to(of, target) else f"{of} is not {target.service}: its sessions end",
        essence=_hash(names),
        sessions=names,
        application=of,
    )


def leak_report(diagnosis: Diagnosis, running: str | None) -> tuple[str, str]:
    """Say what was learnt about forgotten sessions, and what people must do about it."""
    of, longest = diagnosis.application, diagnosis.sessions[0]
    release = f"{of}, the release that runs," if of == running else of
    last = next((session.query for session in diagnosis.sessions if session.query), "not known")
    found = (
        f"{release} left {count_of(len(diagnosis.sessions), 'session')} idle in a transaction, for up to "
        f"{format_duration(longest.lasts)}; the last statement was: {last}"
    )
    remedy = f"Fix {of}: after this statement it neither commits, rolls back nor gives its connection back."
    again = " Until then it may happen again; `runbook start rollback` puts an earlier release back."
    return found, remedy + (again if of == running else "")


def _not_serving(read: DatabaseRead) -> Diagnosis:
    if read.standing == "full":
        why = "no connection is left, not even a reserved one"
        return Diagnosis(cause=Cause.DOWN, because=(why, read.why))
    if read.standing == "pooler-full":
        why = "the pooler takes no more clients; the database was not reached"
        return Diagnosis(cause=Cause.POOL, because=(why, read.why))
    if read.standing == "down":
        return Diagnosis(cause=Cause.DOWN, because=("it accepts no connections", read.why))
    what = (
        "it refuses our role, so its state is unknown" if read.standing == "denied" else "it does not answer"
    )
    return Diagnosis(cause=Cause.UNKNOWN, because=(what, read.why))


def _leak(read: DatabaseRead, policy: Database, seen: tuple[str, ...]) -> Diagnosis | None:
    """Find the one application whose forgotten sessions take the room."""
    forgotten = _forgotten(read, policy)
    owners = [item.owner for item in forgotten]
    of = max(sorted(set(owners)), key=owners.count, default="")
    sessions = tuple(item for item in forgotten if item.owner == of)
    if not sessions or is_full(read.used - len(sessions), read.open_to_services, policy):
        return None
    why = f"{of} holds {count_of(len(sessions), 'connection')}, each idle in a transaction for {_at_least(policy)}"
    return Diagnosis(cause=Cause.LEAK, because=(why, *seen), application=of, sessions=sessions)


def _forgotten(read: DatabaseRead, policy: Database) -> list[Session]:
    """Return the sessions that do nothing in a transaction for too long; a backup means to, and is never ended."""
    return [item for item in read.idle if item.lasts >= policy.leaked_after and not item.backs_up]


def _locks(read: DatabaseRead, policy: Database, seen: tuple[str, ...]) -> Diagnosis | None:
    """Find who holds a lock that others need: sessions wait too long for it, or its holder forgot that it has it.

    Who waits with a time limit, and tries again, never waits for long, and at times nobody waits at all.
    """
    forgotten = {item.name: item for item in _forgotten(read, policy)}
    pids = {name.pid for name in forgotten}
    long = [wait for wait in read.lock_waits if wait.waits.lasts >= policy.leaked_after]
    waits = long or [wait for wait in read.lock_waits if pids.intersection(wait.blockers)]
    if waits:
        holders, why = _held_up(read, waits, f" for {_at_least(policy)}" if long else "")
    else:
        holders, why = _left_locked(read, forgotten.values())
    if not why:
        return None
    of = holders[0].owner if holders else ""
    sessions = tuple(holder for holder in holders if holder.name in forgotten and holder.owner == of)
    return Diagnosis(cause=Cause.LOCKS, because=(why, *seen), application=of, sessions=sessions)


def _held_up(
    read: DatabaseRead, waits: Sequence[LockWait], for_how_long: str
) -> tuple[Sequence[Session], str]:
    """Name the sessions that others wait for, and do not wait themselves."""
    waiting = {wait.waits.name.pid for wait in waits}
    holders = [blocker for blocker in read.blockers if blocker.name.pid not in waiting]
    held_by = ", ".join(holder.summary for holder in holders[:SHOWN]) or "an unknown session"
    return holders, f"{count_of(len(waits), 'session')} waited for locks{for_how_long}, held by {held_by}"


def _left_locked(read: DatabaseRead, forgotten: Iterable[Session]) -> tuple[Sequence[Session], str]:
    """Name the forgotten sessions that keep others out of a table, whoever wants it at the moment."""
    tables = {lock.pid: f"{lock.table} ({lock.mode})" for lock in reversed(read.table_locks)}
    holders = [item for item in forgotten if item.name.pid in tables]
    wording = ", ".join(
        f"{holder.summary}, keeps {tables[holder.name.pid]} locked" for holder in holders[:SHOWN]
    )
    return holders, wording


def _at_least(policy: Database) -> str:
    return f"at least {format_duration(policy.leaked_after)}"


def _evidence(read: DatabaseRead) -> Iterator[str]:
    most = f", at most {read.used_at_most}" if read.used_at_most > read.used else ""
    yield f"{read.used} of {read.open_to_services} connections that services may have are used{most}"
    if read.held:
        holders = (f"{item.count} {item.owner} {item.state or 'hidden'}" for item in read.held[:SHOWN])
        yield f"held by: {', '.join(holders)}"
    if read.standby:
        yield "it is a standby: nothing can be written to it"
    if read.lock_waits:
        waited = f"{count_of(len(read.lock_waits), 'session')} waited for locks"
        yield f"{waited}, in {read.samples_with_waits} of {count_of(read.samples, 'sample')}"
    if read.longest:
        yield f"longest at work: {read.longest[0].summary}: {read.longest[0].query}"
    if read.slowest and read.slowest[0].mean >= SLOW:
        slowest = read.slowest[0]
        yield f"slowest on average: {format_duration(slowest.mean)}: {slowest.query}"


def _hash(names: tuple[SessionName, ...]) -> str:
    text = "\n".join(f"{name.pid} {name.backend_start.isoformat()}" for name in names)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
