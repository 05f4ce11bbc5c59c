"""Whether a service's connection pool is what is too small, and whether the database has room for a bigger one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.reports import Message
from workflows.decisions.database import Cause, Diagnosis, belongs_to, is_full

if TYPE_CHECKING:
    from runbook_model.capacity import Capacity
    from runbook_model.catalog.catalog import Target
    from runbook_model.catalog.policies import Database, Pool
    from runbook_model.sessions import DatabaseRead
    from runbook_model.task_sizes import TaskSize


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
    def told(self) -> str:
        """The sum, for people."""
        return f"{self.tasks} tasks with {self.size} each and {self.others} of others are {self.wanted} of {self.open} connections"

    @property
    def lacks(self) -> str | None:
        """Why the pool cannot be raised: the database has no room for it."""
        if self.wanted <= self.open:
            return None
        return f"a pool of {self.size} does not fit: {self.told}"

    @property
    def needs_yes(self) -> str | None:
        """Why a person must agree even where the policy asks nobody."""
        if self.counts_as_full:
            return f"Pools that are used up would fill the database: {self.told}."
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
    settings = [one.setting for one in size.containers if one.setting]
    each = max((int(one) for one in settings if one.isdigit()), default=0)
    allowed, ours = each * capacity.running, held_by(target, read)
    if diagnosis.cause is not Cause.HEALTHY or not allowed or ours < allowed:
        return diagnosis
    why = (
        f"the database has room, but {target.service} holds {ours} connections, all that {capacity.running} tasks with "
        f"a pool of {each} may have"
    )
    return Diagnosis(cause=Cause.POOL, because=(why, *diagnosis.because))
