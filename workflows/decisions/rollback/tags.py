"""Chooses a release where only tags of images are left: ECS has forgotten the revisions."""

from __future__ import annotations

from runbook_model.catalog.target import Target
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Image
from workflows.decisions.rollback.plan import (
    RollbackPlan,
    plan_by,
)
from workflows.decisions.rollback.releases import plannable
from workflows.decisions.rollback.shifting import updating


def only_tags_are_left(target: Target, history: ReleaseHistory, to: str | None) -> bool:
    """Whether a rollback that found no release may still look at git tags."""
    by_definition = target.rollback.strategy == "task-definition"
    rolled_back = history.latest is not None and history.latest.status == "ROLLBACK_SUCCESSFUL"
    return to is None and by_definition and not rolled_back and plannable(target, history)


def plan_from_tags(
    target: Target, history: ReleaseHistory, tags: tuple[str, ...], tried: tuple[str, ...]
) -> RollbackPlan | None:
    """Plan to run the image of the tag before the current one, in a copy of the current task definition.

    Args:
        target: the service in its environment.
        history: what runs now.
        tags: the repository's tags, newest version first.
        tried: tags and ARNs that this run found wanting.
    """
    current = history.current
    image = next((item for item in current.own if _place(item, tags) is not None), None)
    if image is None or current.unclear:
        return None
    older = tags[(_place(image, tags) or 0) + 1 :]
    marked = {item.tag for release in history.releases.values() if release.is_bad for item in release.own}
    wanted = next((tag for tag in older if _as_image(tag, image) not in {*marked, *tried}), None)
    if wanted is None:
        return None
    name = f"{image.repository}:{_as_image(wanted, image)}"
    images = tuple(
        item.model_copy(update={"name": name, "digest": None}) if item.container == image.container else item
        for item in current.images
    )
    release = current.model_copy(update={"images": images, "marks": ()})
    why = f"{wanted} is the git tag before {image.tag}; nothing else shows an earlier release"
    plan = plan_by(
        "register", target, history, release, why, f"{why}, and whether it ever ran well is unknown"
    )
    return updating(history, plan)


def _place(image: Image, tags: tuple[str, ...]) -> int | None:
    """Find the image's own tag among the repository's, with or without a leading v."""
    tag = (image.tag or "").removeprefix("v")
    return next((place for place, item in enumerate(tags) if tag and item.removeprefix("v") == tag), None)


def _as_image(tag: str, like: Image) -> str:
    """Write a git tag as the images are tagged: with a leading v or without."""
    bare = tag.removeprefix("v")
    return f"v{bare}" if (like.tag or "").startswith("v") else bare
