"""What helps a database: a larger connection pool, a reboot, or a task for people. Pure."""

from __future__ import annotations

from runbook_model import calls
from runbook_model.catalog.service_policies import Database, Pool
from runbook_model.catalog.target import Target
from runbook_model.measured.database import AVAILABLE, DatabaseRead, Instance
from runbook_model.messages import Message
from runbook_model.plans import Plan
from runbook_model.releases.capacity import Capacity
from runbook_model.reports import Task
from runbook_model.sizes import TaskSize
from runbook_model.text.sentences import sentence
from workflows.decisions.database import SHOWN, Cause, Diagnosis, belongs_to, is_full, leak_report
from workflows.decisions.tasks import database_console, links_of


class Room(Message):
    """What the pools of all tasks may ask for, against what the database gives."""

    tasks: int
    """As many as there may be: autoscaling's upper bound where it rules, else those that are wanted."""
    size: int
    """Connections that each may ask for."""
    others: int
    """Connections that do not belong to the service."""
    open: int
    """Connections that services may have together."""
    meanwhile: int
    """Connections in use while old and new tasks run side by side, at the worst."""
    counts_as_full: bool = False
    """Whether the database counted as full if all of them were used."""

    @property
    def wanted(self) -> int:
        """Connections in use at the worst."""
        return self.tasks * self.size + self.others

    @property
    def summary(self) -> str:
        """The sum, for people."""
        return f"{self.tasks} tasks with {self.size} each and {self.others} of others are {self.wanted} of {self.open} connections"

    @property
    def lacks(self) -> str | None:
        """Why the pool cannot be raised: the database has no room for it."""
        if self.wanted <= self.open:
            return None
        return f"a pool of {self.size} does not fit: {self.summary}"

    @property
    def needs_yes(self) -> str | None:
        """Why a person must agree even where the policy asks nobody."""
        if self.counts_as_full:
            return f"Pools that are used up would fill the database: {self.summary}."
        if self.meanwhile > self.open:
            return f"While old and new tasks run side by side they may want {self.meanwhile} of {self.open} connections."
        return None


def room_for(target: Target, policy: Database, pool: Pool, read: DatabaseRead, capacity: Capacity) -> Room:
    """Add up what a bigger pool may ask for at the worst."""
    ours = held_by(target, read)
    tasks = max(capacity.desired, capacity.maximum or 0)
    room = Room(
        tasks=tasks,
        size=pool.size,
        others=max(0, read.used - ours),
        open=read.open_to_services,
        meanwhile=read.used + capacity.desired * pool.size,
    )
    return room.model_copy(update={"counts_as_full": is_full(room.wanted, room.open, policy)})


def held_by(target: Target, read: DatabaseRead) -> int:
    """Count the service's own connections, by their application's name."""
    return sum(held.count for held in read.held if belongs_to(held.owner, target))


def used_up(
    target: Target, diagnosis: Diagnosis, read: DatabaseRead, size: TaskSize, capacity: Capacity
) -> Diagnosis:
    """Name the pool as the cause where the database is well, and the service's tasks hold all that theirs allow."""
    settings = [container.setting for container in size.containers if container.setting]
    each = max((int(setting) for setting in settings if setting.isdigit()), default=0)
    allowed, ours = each * capacity.running, held_by(target, read)
    if diagnosis.cause is not Cause.HEALTHY or not allowed or ours < allowed:
        return diagnosis
    why = (
        f"the database has room, but {target.service} holds {ours} connections, all that {capacity.running} tasks with "
        f"a pool of {each} may have"
    )
    return Diagnosis(cause=Cause.POOL, because=(why, *diagnosis.because))


def restart_database(target: Target, diagnosis: Diagnosis, instance: str = "") -> Task:
    """Ask for a database that takes no connections, and that is not rebooted: it has no instance, or one in no state for it."""
    task = _now("Bring the database back: restart it", target, diagnosis)
    return task.model_copy(update={"why": f"{instance}. {diagnosis.summary}"}) if instance else task


def release_lock(target: Target, diagnosis: Diagnosis) -> Task:
    """Ask for a lock that a session at work holds."""
    return _now("End the session that holds the lock, or let it finish", target, diagnosis)


def fit_pool(target: Target, diagnosis: Diagnosis) -> Task:
    """Ask for more room than there is."""
    what = "Make the service's connection pool or the database's max_connections fit, and deploy that"
    if diagnosis.cause is Cause.POOL:
        what = "Raise the limit of clients of the pooler (PgBouncer: max_client_conn), or end clients it does not need"
    return _now(what, target, diagnosis)


def raise_max_connections(target: Target, diagnosis: Diagnosis, why: str) -> Task:
    """Ask for more connections of the database, where the service's pool cannot be raised within those that there are."""
    task = _now("Raise the database's max_connections, or take connections from others", target, diagnosis)
    return task.model_copy(update={"why": f"{sentence(why)} {diagnosis.summary}"})


def fix_leak(target: Target, diagnosis: Diagnosis, running: str | None) -> Task:
    """Leave a connection leak to those who wrote the code."""
    learnt, fix = leak_report(diagnosis, running)
    sessions = tuple(f"{session.summary}: {session.query}" for session in diagnosis.sessions[:SHOWN])
    return Task(what=fix, kind="long-term", why=learnt, look_at=sessions, links=links_of(target))


def _now(what: str, target: Target, diagnosis: Diagnosis) -> Task:
    return Task(
        what=what,
        kind="immediate",
        why=diagnosis.summary,
        look_at=diagnosis.because,
        links=database_console(target) | links_of(target),
    )


PASSING = frozenset(
    {
        "backing-up", "configuring-enhanced-monitoring", "configuring-log-exports", "maintenance", "modifying",
        "rebooting", "renaming", "resetting-master-credentials", "starting", "upgrading",
    }
)  # fmt: skip
"""States that end by themselves, and in which RDS refuses a reboot."""


class RebootPlan(Plan):
    """Which instance is rebooted, as it was seen."""

    instance: Instance


class NoReboot(Message):
    """Why it is not rebooted."""

    why: str
    passes: bool = False
    """Whether it is only to be waited for."""


def plan_reboot(target: Target, instance: Instance, because: tuple[str, ...]) -> RebootPlan | NoReboot:
    """Plan the reboot of an instance that says it is available, and yet takes no connections."""
    if instance.status in PASSING:
        return NoReboot(why=f"{instance.name} is {instance.status}", passes=True)
    if instance.status != AVAILABLE:
        return NoReboot(why=f"{instance.name} is {instance.status}, which a reboot does not fix")
    failover = (" It has a standby, to which this reboot does not fail over.",) if instance.multi_az else ()
    return RebootPlan(
        headline=f"Reboot {instance.name}, the database of {target.service} in {target.environment}",
        calls=(calls.reboot(instance.name),),
        because=(*because, instance.summary),
        not_restored=(
            "Every connection to it ends, also those of other services; what they had started is rolled back.",
            "It takes no connections until it is up again, usually for a minute or two.",
            *(text.strip() for text in failover),
        ),
        essence=instance.essence,
        instance=instance,
    )
