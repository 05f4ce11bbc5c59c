"""Whether a plan of Terraform's is about what was chosen: this service, from what runs, to the wanted image. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from runbook_model.catalog.catalog import Target
from runbook_model.release import Release, ReleaseHistory
from runbook_model.reports import Ending
from runbook_model.terraform_plans import EcsResource, TerraformPlan
from workflows.decisions.rollback.releases import refused
from workflows.decisions.terraform.rollback import in_words, scalar

ELSEWHERE = "check terraform.workspace, var_files and directory in the catalog"
HOLDS_IMAGE = 'set terraform.image_variable_holds = "image"'
HOLDS_TAG = 'set terraform.image_variable_holds = "tag"'


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
