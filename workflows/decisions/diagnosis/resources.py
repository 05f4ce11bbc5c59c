"""Why CPU or memory run out."""

from __future__ import annotations

from runbook_model.catalog.catalog import Target
from runbook_model.measured.symptoms import LoadRead, ResourcesRead, UtilizationRead
from workflows.decisions.diagnosis.cause import Cause, Diagnosis, unknown
from workflows.decisions.diagnosis.leak import judge_leak
from workflows.decisions.diagnosis.signs import more_requests, unread


def classify_resources(
    target: Target, resources: ResourcesRead, load: LoadRead, utilization: UtilizationRead
) -> Diagnosis:
    """Decide: cpu, memory, leak, load, fine, or unknown.

    Prometheus is finer than CloudWatch, which stands in where Prometheus says nothing.
    """
    cpu = _above("CPU", resources.cpu.mean, utilization.cpu.newest, target.thresholds.cpu)
    memory = _above("memory", resources.memory.most, utilization.memory.newest, target.thresholds.memory)
    memory = memory or _killed(resources)
    leak, leaking = _leak(resources)
    doubts = unread(
        usual_requests=load.usual_rate, restarts=resources.restarts, memory_over_time=resources.series
    )
    if not (cpu or memory or leak):
        return _nothing(resources, utilization, doubts)
    seen = tuple(filter(None, (leak, cpu, memory)))
    surge = more_requests(target, load)
    if surge and leak:
        return unknown(*seen, f"but {surge}", doubts=doubts)
    if surge:
        return Diagnosis(cause=Cause.LOAD, because=(surge, *seen), doubts=doubts)
    if leak and (memory or not cpu):
        return Diagnosis(cause=Cause.LEAK, because=seen, doubts=doubts, release=leaking)
    if load.growth is None or (cpu and (memory or leak)):
        return unknown(*seen, load.summary, doubts=doubts)
    usual = f"requests are as usual ({load.rate.value:.1f}/s)"
    if cpu:
        began = resources.cpu_course.began_with_release(target.thresholds.cpu)
        release = resources.onset.release if began else None
        return Diagnosis(cause=Cause.CPU, because=(*seen, usual), doubts=doubts, release=release)
    return Diagnosis(cause=Cause.MEMORY, because=(*seen, usual), doubts=doubts)


def _above(name: str, prometheus: float | None, cloudwatch: float | None, limit: float) -> str | None:
    value = cloudwatch if prometheus is None else prometheus
    if value is None or value <= limit:
        return None
    source = " by CloudWatch" if prometheus is None else ""
    return f"{name} {100 * value:.0f} %{source} (limit {100 * limit:g} %)"


def _killed(resources: ResourcesRead) -> str | None:
    killed = resources.restarts.out_of_memory
    return f"{killed} tasks were killed for their memory" if killed > 1 else None


def _leak(resources: ResourcesRead) -> tuple[str | None, str | None]:
    """Say which tasks leak, and on which release if it is one."""
    judged = {
        task: judge_leak(points, resources.series.limits.get(task) or None)
        for task, points in resources.series.tasks.items()
    }
    leaks = {task: leak for task, leak in judged.items() if leak.verdict == "leaks"}
    if not leaks:
        return None, None
    worst = max(leaks.values(), key=lambda leak: leak.bytes_per_second or 0)
    releases = {resources.releases.get(task, "") for task in leaks} - {""}
    tasks = "task leaks" if len(leaks) == 1 else "tasks leak"
    return f"{len(leaks)} {tasks} memory: {worst.why}", releases.pop() if len(releases) == 1 else None


def _nothing(resources: ResourcesRead, utilization: UtilizationRead, doubts: tuple[str, ...]) -> Diagnosis:
    cpu_known = resources.cpu.known or utilization.cpu.known
    memory_known = resources.memory.known or utilization.memory.known
    if not cpu_known or not memory_known:
        return unknown(resources.summary, utilization.summary, doubts=doubts)
    return Diagnosis(cause=Cause.FINE, because=(resources.summary, utilization.summary), doubts=doubts)
