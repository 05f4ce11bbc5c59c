"""A rollback by Terraform: which tag the module gets, and what people see of the plan. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from runbook_model import calls
from runbook_model.catalog.target import Target
from runbook_model.plans import DAY, Follow, Plan, PlannedCall
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Release
from runbook_model.releases.terraform_plans import TerraformPlan
from runbook_model.reports import Ending
from workflows.decisions.rollback.plan import STAYS, RollbackPlan, plan_by, tag_was_moved
from workflows.decisions.rollback.releases import refused

BY_DEFINITION = 'use rollback.strategy = "task-definition"'


class TerraformRollback(RollbackPlan):
    """How a release is put back by the module that owns the service."""

    terraform: TerraformPlan

    @property
    def tag(self) -> str:
        """The image tag that is put back."""
        return next(iter(self.terraform.variables.values()))

    @property
    def was(self) -> str:
        """What is there before, as text."""
        return self.before.name

    @property
    def shall_be(self) -> str:
        """What is wanted, as text: which revision the module makes of it is not known before."""
        kind = "image" if any(image.name == self.tag for image in self.after.images) else "image tag"
        return f"{kind} {self.tag}"

    @property
    def loses_its_source(self) -> bool:
        """Whether Terraform deregisters the release that is taken back, so that it takes no mark afterwards."""
        return self.before.task_definition in self.terraform.deregisters

    @property
    def marks_source(self) -> bool:
        """Whether the release that is taken back is marked once the other is verified."""
        return self.before.task_definition != self.after.task_definition and not self.loses_its_source


def terraform_tag(history: ReleaseHistory, release: Release) -> str | Ending:
    """Tell the image tag that brings a release back, or why none does."""
    if tag_was_moved(release, history):
        return refused(
            "policy",
            f"the tag of {release.name} points to another image now, and Terraform knows it by its tag alone",
            'build the old image under a new tag, or use rollback.strategy = "task-definition"',
        )
    tag = plain_tag(release)
    if tag is None:
        images = ", ".join(image.name for image in release.own)
        why = f"which image tag brings {release.name} back is unknown: {images} has none, several or a digest"
        return refused("policy", why, BY_DEFINITION)
    return tag


def plain_tag(release: Release) -> str | None:
    """Return the tag by which Terraform knows a release, the app's; None where a digest, none or several name it."""
    return None if any(image.pinned for image in release.own) else release.tag


def value_of_image(target: Target, release: Release, tag: str) -> str | Ending:
    """Say what the module's image variable gets for a release: its tag, or the whole image."""
    if target.terraform is None or target.terraform.image_variable_holds == "tag":
        return tag
    images = {image.name for image in release.own if image.tag == tag}
    if len(images) == 1:
        return images.pop()
    why = f"which whole image brings {release.name} back is unknown: {len(images)} of it have the tag {tag}"
    return refused("policy", why, BY_DEFINITION)


def rollback_by_terraform(
    target: Target, history: ReleaseHistory, chosen: RollbackPlan, terraform: TerraformPlan
) -> RollbackPlan | Ending:
    """Plan to put the chosen release back by what Terraform said it would do.

    Where Terraform has nothing to change, the runbook's next step is left: fresh tasks of the same image.
    """
    variables = in_words(terraform.variables)
    if terraform.empty:
        if chosen.after.tag != history.current.tag:
            return refused(
                "policy",
                f"Terraform has nothing to change for {variables}, yet {history.current.name} runs: the module "
                "does not decide what the service runs (ignore_changes?), or it was deployed without it",
                BY_DEFINITION,
            )
        why = f"Terraform has nothing to change for {variables}"
        return plan_by("force", target, history, history.current, why, f"{why}, so only fresh tasks are left")
    shown = plan_by("terraform", target, history, chosen.after, chosen.because[0], chosen.needs_yes)
    ours = plan_of(terraform, shown.headline)
    follows = (*_follows(target, history.current, terraform), *shown.follows)
    return TerraformRollback(
        **{name: getattr(shown, name) for name in RollbackPlan.model_fields if name not in _FROM_TERRAFORM},
        calls=ours.calls,
        not_restored=ours.not_restored,
        afterwards=tuple(_afterwards(chosen, terraform)),
        follows=follows,
        essence=ours.essence,
        terraform=terraform,
    )


_FROM_TERRAFORM = frozenset({"calls", "not_restored", "afterwards", "follows", "essence"})


def _follows(target: Target, current: Release, terraform: TerraformPlan) -> Iterator[Follow]:
    """Say what the same yes is for besides: fresh tasks where the module makes none, and the way back."""
    fresh = (calls.force(target),)
    yield Follow(
        kind="put-back", what="Start fresh tasks where Terraform deploys none", calls=fresh, within=DAY
    )
    tag = plain_tag(current)
    value = value_of_image(target, current, tag) if tag else None
    if isinstance(value, str):
        back = (calls.terraform(target.terraform, dict.fromkeys(terraform.variables, value)),)
        yield Follow(kind="undo", what="Apply the way back where somebody aborts", calls=back, within=DAY)


def plan_of(terraform: TerraformPlan, headline: str) -> Plan:
    """Show a Terraform plan as people are asked about it; any page may use it."""
    return Plan(
        headline=headline,
        calls=(
            PlannedCall(
                service="terraform",
                action="apply",
                parameters={
                    "directory": terraform.directory,
                    **({"workspace": terraform.workspace} if terraform.workspace else {}),
                    "variables": terraform.variables,
                    "changes": dict(_changes(terraform)),
                },
            ),
        ),
        not_restored=tuple(_not_restored(terraform)),
        essence=terraform.hash,
    )


def takes_more(terraform: TerraformPlan) -> str | None:
    """Say what a rollback would take that no release brings: fewer tasks than autoscaling runs, what was scaled up."""
    tags = frozenset(terraform.variables.values())
    if lost := ", ".join(losses(terraform, but=tags)):
        return f"for {in_words(terraform.variables)} Terraform would also reduce {lost}"
    return unseen(terraform)


def losses(terraform: TerraformPlan, but: frozenset[str] = frozenset()) -> Iterator[str]:
    """Name every number that the plan makes smaller, whatever it is the number of, and all that it deletes.

    Args:
        terraform: the plan.
        but: values that are wanted, such as a tag that is a number.
    """
    for resource in terraform.resources:
        if resource.action == "delete":
            yield f"{resource.address} (deleted)"
        for attribute in resource.attributes:
            before, after = _number(attribute.before), _number(attribute.after)
            wanted = scalar(attribute.after) in but
            if before is not None and after is not None and after < before and not wanted:
                yield f"{resource.address} {attribute.path} ({before:g} → {after:g})"


def unseen(terraform: TerraformPlan) -> str | None:
    """Say that a plan is too long for all of it to be looked through."""
    if not terraform.left_out:
        return None
    return f"The plan is too long to be looked through: {terraform.left_out} changes of it are not shown."


def scalar(text: str | None) -> str | None:
    """Return a shown value as it is typed; None for what is no single value."""
    try:
        value = json.loads(text) if text is not None else None
    except ValueError:
        return None
    return str(value) if isinstance(value, str | int) else None


def _number(text: str | None) -> float | None:
    value = scalar(text)
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None


def changes_more_than(back: TerraformPlan, done: TerraformPlan) -> tuple[str, ...]:
    """Name what a way back would change that the way there did not."""
    return tuple(address for address in back.addresses if address not in done.addresses)


def by_hand(terraform: TerraformPlan) -> str:
    """Return the command that a person types for this plan."""
    variables = " ".join(f"-var={name}={value}" for name, value in terraform.variables.items())
    return f"{terraform.command or f'terraform -chdir={terraform.directory} apply'} {variables}"


def _changes(terraform: TerraformPlan) -> Iterator[tuple[str, object]]:
    for resource in terraform.resources:
        attributes = {
            attribute.path: _arrow(attribute.before, attribute.after) for attribute in resource.attributes
        }
        yield resource.address, {"action": resource.action, **attributes}
    if terraform.outputs:
        yield "outputs", {output.path: _arrow(output.before, output.after) for output in terraform.outputs}
    if terraform.left_out:
        yield "not shown", f"{terraform.left_out} more: terraform plan shows them"


def _arrow(before: str | None, after: str | None) -> str:
    return f"{before or 'nothing'} → {after or 'nothing'}"


def _not_restored(terraform: TerraformPlan) -> Iterator[str]:
    yield STAYS
    yield (
        f"The module's own files: whoever applies {terraform.directory} without {in_words(terraform.variables)} "
        "brings the other release back; set it there too."
    )
    if terraform.deregisters:
        gone = ", ".join(arn.rpartition("/")[2] for arn in terraform.deregisters)
        yield f"The provider deregisters {gone}."
    yield "Tags that the module does not know are removed by later applies, ledger marks too, unless ignore_tags keeps them."


def _afterwards(chosen: RollbackPlan, terraform: TerraformPlan) -> Iterator[str]:
    old = chosen.before.revision
    if chosen.before.task_definition in terraform.deregisters:
        yield f"{old} is tagged bad before Terraform deregisters it; what then runs is tagged good once it is verified."
    else:
        yield f"Once verified, what then runs is tagged good and {old} bad."
    yield "If Terraform makes no new deployment, one is forced, as a change of its own."


def in_words(variables: dict[str, str]) -> str:
    """Write values as they are typed: ``image_tag="1.2.0"``."""
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in variables.items())
