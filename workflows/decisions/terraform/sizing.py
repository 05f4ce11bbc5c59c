"""More for each task by Terraform, and whether a plan of Terraform's is about what was chosen; plans that take something are refused. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from runbook_model import calls
from runbook_model.catalog.target import Target
from runbook_model.releases.capacity import TaskChange
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Release
from runbook_model.releases.terraform_plans import SENSITIVE, AttributeChange, EcsResource, TerraformPlan
from runbook_model.reports import Ending
from runbook_model.sizes import TaskSize
from workflows.decisions.rollback.plan import may_bring_another_image, tag_was_moved, which_container
from workflows.decisions.rollback.releases import refuse, refused
from workflows.decisions.scaling import cannot_deploy_rolling
from workflows.decisions.sizing import CAUSE_STAYS, Reasons, SizePlan, headline, put_back
from workflows.decisions.terraform.rollback import (
    in_words,
    losses,
    plain_tag,
    plan_of,
    scalar,
    unseen,
    value_of_image,
)

ELSEWHERE = "check terraform.workspace, var_files and directory in the catalog"

HOLDS_IMAGE = 'set terraform.image_variable_holds = "image"'

HOLDS_TAG = 'set terraform.image_variable_holds = "tag"'


class TerraformSizePlan(SizePlan):
    """How tasks get more by the module that owns the service."""

    terraform: TerraformPlan


def values_for(target: Target, history: ReleaseHistory, change: TaskChange) -> dict[str, str] | Ending:
    """Tell the module's values: those that grow, and the image tag that runs, or its default would be deployed too."""
    owner = target.terraform
    pool = target.database.pool if target.database else None
    if owner is None:
        return refused(
            "input", f"the catalog names no Terraform module for {target.key}", "add terraform = { … }"
        )
    current = history.current
    if unclear := which_container(target, current):
        return refuse(unclear)
    tag = plain_tag(current)
    if tag is None or tag_was_moved(current, history):
        why = (
            f"which image tag keeps {current.name} running is unknown: it has several, none, one that was moved, "
            "or is pinned by digest"
        )
        return refused("policy", why, "apply the module by hand")
    grows = {owner.cpu_variable: change.cpu, owner.memory_variable: change.memory}
    if pool and pool.terraform_variable:
        grows[pool.terraform_variable] = int(change.value) if change.value is not None else None
    image = value_of_image(target, history.current, tag)
    if not isinstance(image, str):
        return image
    return {owner.image_variable: image} | {
        name: str(value) for name, value in grows.items() if value is not None
    }


def size_by_terraform(
    target: Target,
    history: ReleaseHistory,
    size: TaskSize,
    change: TaskChange,
    terraform: TerraformPlan,
    reasons: Reasons,
) -> TerraformSizePlan | Ending:
    """Plan to give tasks more by what Terraform said it would do, unless it would take something or bring another image."""
    values = in_words(terraform.variables)
    if problem := cannot_deploy_rolling(target, history):
        return refuse(problem)
    if terraform.empty:
        why = f"Terraform has nothing to change for {values}, yet {size.summary}: the module does not control that"
        return refused("policy", f"{why} (ignore_changes?), or it was deployed without it")
    if lost := ", ".join(losses(terraform)):
        return refused(
            "policy", f"for {values} Terraform would also reduce {lost}", "set that in the module first"
        )
    if other := ", ".join(_other_images(terraform, history)):
        return refused(
            "policy",
            f"for {values} Terraform would also bring {other}, which does not run",
            "look at the module",
        )
    if refusal := outside_scope(target, history, history.current, terraform):
        return refusal
    shown = plan_of(terraform, headline(target, size, change))
    plan = TerraformSizePlan(
        headline=shown.headline,
        calls=shown.calls,
        before=history.current,
        fence=history.service.fence,
        because=reasons.because,
        not_restored=(
            CAUSE_STAYS,
            *may_bring_another_image(history),
            *reasons.not_restored,
            *_until_written(terraform),
        ),
        needs_yes=reasons.needs_yes or unseen(terraform),
        essence=shown.essence,
        size=size,
        change=change,
        terraform=terraform,
    )
    back = way_back(plan, target)
    if isinstance(back, str):
        return plan
    follows = (put_back(calls.terraform(target.terraform, back), history.current),)
    return plan.model_copy(update={"follows": follows})


def hidden(terraform: TerraformPlan) -> str | None:
    """Name what changes and is sensitive as a whole: an image or a number in it cannot be looked at."""
    what = ", ".join(
        f"{resource.address} {attribute.path}"
        for resource in terraform.resources
        for attribute in resource.attributes
        if SENSITIVE in {attribute.before, attribute.after}
    )
    if not what:
        return None
    return f"Terraform hides {what}: it is not visible whether it reduces something or brings another image."


def way_back(plan: TerraformSizePlan, target: Target) -> dict[str, str] | str:
    """Tell the values that were there before, or why they are not known."""
    owner, pool = target.terraform, target.database.pool if target.database else None
    had = {container.setting for container in plan.size.containers if container.setting is not None}
    known: dict[str, object] = {}
    if owner:
        known = {owner.cpu_variable: plan.size.cpu, owner.memory_variable: plan.size.memory}
    if pool and pool.terraform_variable:
        known[pool.terraform_variable] = had.pop() if len(had) == 1 else _before(plan)
    back = {name: known.get(name, value) for name, value in plan.terraform.variables.items()}
    unknown = [name for name, value in back.items() if value is None]
    if unknown:
        return f"what {', '.join(unknown)} was before is not known: apply the module without it"
    return {name: str(value) for name, value in back.items()}


def _before(plan: TerraformSizePlan) -> str | None:
    """Read from the plan itself what the pool's size replaces, where that is one thing."""
    attributes = (attribute for resource in plan.terraform.resources for attribute in resource.attributes)
    found = {
        scalar(attribute.before)
        for attribute in (*attributes, *plan.terraform.outputs)
        if scalar(attribute.after) == plan.change.value
    }
    return found.pop() if len(found) == 1 else None


def _other_images(terraform: TerraformPlan, history: ReleaseHistory) -> Iterator[str]:
    runs = {image.name for image in history.current.images}
    for resource in terraform.resources:
        for attribute in resource.attributes:
            if _is_image(attribute) and (image := scalar(attribute.after)) and image not in runs:
                yield image


def _is_image(attribute_change: AttributeChange) -> bool:
    return attribute_change.path.rpartition(".")[2] == "image"


def _until_written(terraform: TerraformPlan) -> Iterator[str]:
    yield (
        f"The module's own files: whoever applies {terraform.directory} without {in_words(terraform.variables)} "
        "takes it back; set it there too."
    )
    if terraform.deregisters:
        yield f"The provider deregisters {', '.join(arn.rpartition('/')[2] for arn in terraform.deregisters)}."


def runs_value(release: Release, value: str | None) -> bool:
    """Whether a release runs what the image variable was given."""
    return any(value in {image.tag, image.name} for image in release.own)


def outside_scope(
    target: Target, history: ReleaseHistory, wanted: Release, terraform: TerraformPlan
) -> Ending | None:
    """Refuse a plan that is about something else than was chosen; says what it would have changed."""
    if found := next(_out_of_scope(target, history, wanted, terraform), None):
        what, fix = found
        return refused("policy", f"for {in_words(terraform.variables)} Terraform would {what}", fix)
    return None


def started_past_terraform(history: ReleaseHistory, terraform: TerraformPlan) -> str | None:
    """Say that the module's state has another image than runs, where the service itself is known to be this one."""
    if others := _other_starts(history, terraform):
        return f"Terraform's state has {', '.join(others)}, but {history.current.name} runs: it was deployed without Terraform."
    return None


def _out_of_scope(
    target: Target, history: ReleaseHistory, wanted: Release, terraform: TerraformPlan
) -> Iterator[tuple[str, str]]:
    """List what makes a plan one of something else, each with its fix."""
    if terraform.from_nothing:
        where = f"workspace {terraform.workspace}" if terraform.workspace else "the state that is selected"
        made = ", ".join(terraform.addresses[:3])
        yield f"recreate everything ({made}): {where} holds nothing of the module", ELSEWHERE
    for service in terraform.services:
        if service.action != "no-op" and not _is(service, target, history):
            yield f"{service.summary}, not {target.key}", ELSEWHERE
        elif service.action == "create":
            yield f"{service.summary}, which runs already: its state is elsewhere", ELSEWHERE
    if terraform.services and not any(_is(item, target, history) for item in terraform.services):
        names = ", ".join(f"{item.name} in cluster {item.cluster}" for item in terraform.services[:3])
        yield f"change a module whose service is {names}, not {target.key}", ELSEWHERE
    ours = _family(history.current.task_definition)
    for definition in terraform.definitions:
        family = _family(definition.arn) if definition.arn else definition.name
        if family not in {ours, ours.rpartition("/")[2]}:
            yield f"{definition.summary}, while {history.current.revision} runs for {target.key}", ELSEWHERE
    yield from _other_ends(wanted, terraform)
    known = any(_is(item, target, history) for item in terraform.services)
    if not known and (others := _other_starts(history, terraform)):
        moves = dict.fromkeys(f"{scalar(image.before)} → {scalar(image.after)}" for image in terraform.images)
        arrows = ", ".join([*moves][:3])
        why = f"it starts from {', '.join(others)}, while {history.current.name} runs"
        yield f"change {arrows}, but {why}", ELSEWHERE


def _other_ends(wanted: Release, terraform: TerraformPlan) -> Iterator[tuple[str, str]]:
    """List images that the plan brings and nobody chose."""
    names, tags = {image.name for image in wanted.images}, {image.tag for image in wanted.images}
    for item in terraform.images:
        image = scalar(item.after)
        if image is None or image in names:
            continue
        doubled = any(image.endswith(f":{name}") for name in names)
        fix = HOLDS_IMAGE if image in tags else HOLDS_TAG if doubled else "look at the module"
        yield f"bring the image {image}, not {', '.join(sorted(names))}", fix


def _other_starts(history: ReleaseHistory, terraform: TerraformPlan) -> tuple[str, ...]:
    """Name the images that a plan would take away and that do not run."""
    runs = {image.name for image in history.current.images}
    if not runs:
        return ()
    found = (scalar(item.before) for item in terraform.images)
    return tuple(dict.fromkeys(image for image in found if image is not None and image not in runs))


def _is(service: EcsResource, target: Target, history: ReleaseHistory) -> bool:
    """Whether a service of the module is the target's: by cluster and name, and by account and region where known."""
    place = ":".join(history.current.task_definition.split(":")[:5])
    elsewhere = service.arn is not None and ":".join(service.arn.split(":")[:5]) != place
    names = (target.cluster.rpartition("/")[2], target.ecs_service.rpartition("/")[2])
    return (service.cluster, service.name) == names and not elsewhere


def _family(task_definition: str) -> str:
    """Cut the revision off an ARN."""
    return task_definition.rpartition(":")[0]
