"""What tasks get that are too small: how much more, or why not; nothing here ever makes anything smaller. Pure."""

from __future__ import annotations

from runbook_model import calls
from runbook_model.catalog.service_policies import Pool
from runbook_model.catalog.target import Target
from runbook_model.plans import DAY, Follow, Plan, PlannedCall
from runbook_model.releases.capacity import TaskChange
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Fence, Release
from runbook_model.releases.shifting import Shifting
from runbook_model.reports import Ending, Outcome
from runbook_model.sizes import TaskSize
from workflows.decisions.rollback.plan import RollbackPlan
from workflows.decisions.rollback.releases import refuse, refused
from workflows.decisions.rollback.shifting import updating
from workflows.decisions.scaling import cannot_deploy

FARGATE = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4097, 1024)),
    1024: tuple(range(2048, 8193, 1024)),
    2048: tuple(range(4096, 16385, 1024)),
    4096: tuple(range(8192, 30721, 1024)),
    8192: tuple(range(16384, 61441, 4096)),
    16384: tuple(range(32768, 122881, 8192)),
}
"""Memory in MB that Fargate gives with so many CPU units."""
CAUSE_STAYS = "The cause of the higher need is not fixed."


class SizePlan(Plan):
    """How tasks get more: a copy of what runs is registered, and the service is updated to it."""

    before: Release
    fence: Fence
    size: TaskSize
    """What tasks have."""
    change: TaskChange
    shifting: Shifting | None = None
    """How the service's deployments shift traffic, where they do."""

    @property
    def was(self) -> str:
        """What is there before, as text."""
        return f"{self.before.name}: {self.size.summary}"

    @property
    def shall_be(self) -> str:
        """What is wanted, as text."""
        return self.change.summary


class Reasons(Plan):
    """What a plan says next to its calls."""

    headline: str = ""
    calls: tuple[PlannedCall, ...] = ()


def bigger(target: Target, size: TaskSize) -> TaskChange | Ending:
    """Decide how much more each task gets: what the catalog says, and never less than it has."""
    wanted = target.scale
    if size.cpu is None or size.memory is None:
        why = (
            f"{size.revision} gives its tasks no CPU and memory of their own, only its containers; size those"
        )
        return refused("policy", why)
    cpu, memory = max(size.cpu, wanted.cpu), max(size.memory, wanted.memory)
    if (cpu, memory) == (size.cpu, size.memory):
        said = f"{size.summary} already; the catalog's scale.cpu = {wanted.cpu} and scale.memory = {wanted.memory}"
        return _nothing_to_gain(f"{said} are no more than that")
    if size.fargate and memory not in FARGATE.get(cpu, ()):
        return refused("policy", f"Fargate has no task of {cpu} CPU units and {memory} MB: {_choices(cpu)}")
    return TaskChange(cpu=cpu, memory=memory)


def bigger_pool(pool: Pool, size: TaskSize) -> TaskChange | Ending:
    """Decide which containers get the catalog's pool size, where they have less."""
    if any(container.is_secret for container in size.containers):
        return refused("policy", f"{pool.env} of {size.revision} comes from a secret", "change it there")
    has = tuple(container for container in size.containers if container.setting is not None)
    sizes = [item.setting or "" for item in has]
    if not all(item.isdigit() for item in sizes):
        return refused(
            "policy", f"{pool.env} of {size.revision} is {', '.join(sizes)}, which is not a number"
        )
    if sizes and max(map(int, sizes)) >= pool.size:
        said = f"the pool of each task has {max(map(int, sizes))} connections already"
        return _nothing_to_gain(f"{said}; the catalog's pool.size = {pool.size} is no more than that")
    if pool.terraform_variable is None and not has and len(size.containers) != 1:
        return refused(
            "policy", f"no container of {size.revision} has {pool.env}, and it is unknown which one should"
        )
    given = tuple(item.name for item in (has or size.containers))
    return TaskChange(variable=pool.env, value=str(pool.size), containers=given)


def size_plan(
    target: Target, history: ReleaseHistory, size: TaskSize, change: TaskChange, reasons: Reasons
) -> SizePlan | Ending:
    """Plan to register a copy of what runs that gives its tasks more, and to update the service to it."""
    if problem := cannot_deploy(target, history):
        return refuse(problem)
    if why := _held_back(size, change):
        return refused("policy", why)
    deployment = updating(history, _update(history))
    return SizePlan(
        headline=headline(target, size, change),
        calls=_calls(target, history.current, change),
        before=history.current,
        fence=history.service.fence,
        because=(*reasons.because, *deployment.because),
        not_restored=(CAUSE_STAYS, *reasons.not_restored),
        follows=(put_back(calls.deploy(target, history.current), history.current), *deployment.follows),
        needs_yes=reasons.needs_yes,
        essence=deployment.essence,
        size=size,
        change=change,
        shifting=deployment.shifting,
    )


def as_update(plan: SizePlan, release: Release) -> RollbackPlan | None:
    """Return the update to bigger tasks as those of rollbacks are known; None where no traffic is shifted."""
    if plan.shifting is None:
        return None
    return RollbackPlan(
        headline=plan.headline,
        calls=(),
        before=plan.before,
        after=release,
        fence=plan.fence,
        way="register",
        shifting=plan.shifting,
    )


def headline(target: Target, size: TaskSize, change: TaskChange) -> str:
    """Say in one sentence what tasks get."""
    shop = f"{target.service} in {target.environment}"
    if change.value is not None:
        had = {container.setting for container in size.containers if container.setting is not None}
        was = f" from {', '.join(sorted(had))}" if had else ""
        return f"Raise the connection pool of {shop}{was} to {change.value} connections a task"
    return f"Scale {shop} up: {size.summary}, and gets {change.cpu} CPU units and {change.memory} MB"


def fell_short(size: TaskSize, change: TaskChange) -> str | None:
    """Say what tasks still lack of a change that was deployed."""
    lacks = [
        f"{has} {unit} instead of {wanted}"
        for has, wanted, unit in ((size.cpu, change.cpu, "CPU units"), (size.memory, change.memory, "MB"))
        if wanted is not None and (has or 0) < wanted
    ]
    if change.variable is not None:
        settings = {container.setting for container in size.containers if container.name in change.containers}
        lacks += [
            f"pool size {setting or 'unset'} instead of {change.value}"
            for setting in settings - {change.value}
        ]
    return ", ".join(lacks) or None


def _update(history: ReleaseHistory) -> RollbackPlan:
    """Return the update to a copy of what runs, which says the same as that of a rollback."""
    current, fence = history.current, history.service.fence
    return RollbackPlan(headline="", calls=(), before=current, after=current, fence=fence, way="register")


def _calls(target: Target, current: Release, change: TaskChange) -> tuple[PlannedCall, ...]:
    return calls.register(current, change), calls.deploy(target, current, registered=True)


def put_back(call: PlannedCall, before: Release) -> Follow:
    """Say that what ran before is put back, where somebody aborts or chooses so."""
    what = f"Put {before.name} back where somebody aborts or chooses so"
    return Follow(kind="put-back", what=what, calls=(call,), within=DAY)


def _held_back(size: TaskSize, change: TaskChange) -> str | None:
    """Say which limits of containers would keep a bigger task from helping."""
    if change.memory is None or size.memory is None or change.memory == size.memory:
        return None
    limits = {container.name: container.memory for container in size.containers}
    if any(limit is None or limit >= size.memory for limit in limits.values()):
        return None
    text = ", ".join(f"{name} {limit} MB" for name, limit in limits.items())
    return f"every container of {size.revision} has a limit of its own ({text}): a bigger task gives them nothing; raise those"


def _choices(cpu: int) -> str:
    memory = FARGATE.get(cpu)
    if memory is None:
        return f"scale.cpu must be one of {', '.join(map(str, FARGATE))}"
    return f"with {cpu} CPU units memory is {memory[0]} to {memory[-1]} MB in steps of {memory[1] - memory[0]}; correct scale"


def _nothing_to_gain(why: str) -> Ending:
    summary = f"{why[:1].upper()}{why[1:]}: nothing was changed. A person must check."
    return Ending(outcome=Outcome.INCONCLUSIVE, summary=summary)
