"""Which release a person means, and how releases are listed for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from runbook_model.catalog.catalog import Target
from runbook_model.release import DIGEST_FROM, Release
from runbook_model.reports import Problem
from runbook_model.text.sentences import did_you_mean


def find_release(releases: Iterable[Release], name: str) -> Release | Problem | None:
    """Find the release that a person means: by revision or ARN, or the newest one by image tag or digest.

    Of several with one revision, that is one whose tag was moved, the first is found.

    Returns:
        the release; why it cannot be determined which one is meant; None where there is none.
    """
    known = tuple(releases)
    by_image = [release for release in known if release.has_image(name)]
    meant = {item.revision: item for item in reversed(known) if _has_revision(item, name)}
    if by_image and not any(item in by_image for item in meant.values()):
        newest = max(by_image, key=revision_number)
        meant.setdefault(newest.revision, newest)
    if len(meant) > 1:
        return Problem(
            kind="input",
            message=f'"{name}" can mean {" or ".join(item.name for item in meant.values())}',
            fix=f"say {' or '.join(meant)}",
        )
    return next(iter(meant.values()), None)


def may_be_a_revision(name: str) -> bool:
    """Whether a name is a number that a revision may have; a digest's start is longer."""
    return name.isdigit() and len(name) < DIGEST_FROM


def nearest_release(releases: Iterable[Release], name: str) -> str:
    """Return the words that name the release which a mistyped name most resembles, or nothing."""
    known = tuple(releases)
    tags = [image.tag for release in known for image in release.own if image.tag]
    return did_you_mean(name, [*tags, *(release.revision for release in known)])


def listed(releases: Iterable[Release]) -> str:
    """Return the words that list releases, newest revision first."""
    newest_first = sorted(releases, key=revision_number, reverse=True)
    return f"there are: {', '.join(dict.fromkeys(release.name for release in newest_first)) or 'none'}"


def which_container(target: Target, release: Release) -> Problem | None:
    """Say that it cannot be known which container's image is the release, and what to write into the catalog."""
    if not release.unclear:
        return None
    names, where = ", ".join(release.unclear), f"[services.{target.service}.{target.environment}]"
    if target.container:
        missing = f'{release.revision} has no container "{target.container}", but {names}'
        return Problem(kind="input", message=missing, fix=f"correct container in {where}")
    several = (
        f"{release.revision} has several containers, and which one is the app's cannot be known: {names}"
    )
    return Problem(kind="input", message=several, fix=f'add container = "…" to {where}')


def revision_number(release: Release) -> int:
    """Return the number that ECS gave its task definition."""
    return int(release.revision.rpartition(":")[2])


def _has_revision(release: Release, name: str) -> bool:
    return name in {release.task_definition, release.revision, release.revision.rpartition(":")[2]}
