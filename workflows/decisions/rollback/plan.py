"""How a release is put back, which release a person means, and how releases are listed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from runbook_model import calls
from runbook_model.catalog.target import Target
from runbook_model.plans import DAY, Follow, Plan, PlannedCall
from runbook_model.releases.configuring import QuickSettings
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import DIGEST_FROM, Fence, Judgement, Release
from runbook_model.releases.shifting import Shifting
from runbook_model.reports import Problem
from runbook_model.text.sentences import did_you_mean

STAYS = "Data, database migrations and settings outside the task definition stay as they are."

Way = Literal["deploy", "register", "stop", "force", "terraform"]


class RollbackPlan(Plan):
    """How a release is put back."""

    before: Release
    after: Release
    fence: Fence
    way: Way
    """``register``: register again, pinned by digest, then deploy. ``stop``: ECS rolls the deployment under way back."""
    stops: str | None = None
    """ARN of the service deployment to stop."""
    shifting: Shifting | None = None
    """How the service's deployments shift traffic, where they do."""
    settings: QuickSettings | None = None
    """The waits that the update takes out, and that are put back after it."""
    answers_pauses: bool = False
    """Whether the run answers the pause hooks of its own deployment."""

    @property
    def under_way(self) -> str | None:
        """A deployment that has ended cannot be stopped any more."""
        return self.stops

    @property
    def marks_source(self) -> bool:
        """Whether the release that is taken back is marked once the other is verified."""
        return self.way != "force"


def rolling_plan(
    target: Target, history: ReleaseHistory, release: Release, because: str, needs_yes: str | None = None
) -> RollbackPlan:
    """Plan to deploy a release, registered again first where its task definition alone would not bring it back."""
    way: Way = "register" if _must_be_pinned(release, history) else "deploy"
    return plan_by(way, target, history, release, because, needs_yes)


def asking_after(suspect: str | None, history: ReleaseHistory, plan: RollbackPlan) -> RollbackPlan:
    """Need a yes where not what a diagnosis found to be bad would be taken back, but what was deployed over it since."""
    ran = suspect in {deployment.release.revision for deployment in history.deployments}
    if not ran or suspect == plan.before.revision:
        return plan
    why = f"{suspect} was found to be bad, and {plan.before.name} was deployed since: it may be the fix."
    return plan.model_copy(update={"needs_yes": " ".join(filter(None, (why, plan.needs_yes)))})


def plan_by(
    way: Way,
    target: Target,
    history: ReleaseHistory,
    release: Release,
    because: str,
    needs_yes: str | None = None,
) -> RollbackPlan:
    """Plan to put a release back in the given way."""
    stops = history.latest.arn if way == "stop" and history.latest else None
    return RollbackPlan(
        headline=_headline(target, history.current, release, way),
        calls=_calls(target, release, way, stops),
        before=history.current,
        after=release,
        because=(because,),
        not_restored=(*_not_restored(target), *(may_bring_another_image(history) if way == "force" else ())),
        afterwards=_afterwards(history.current, release, way),
        follows=tuple(_follows(target, history.current, release, way)),
        needs_yes=needs_yes or _unpinned(release, way),
        fence=history.service.fence,
        way=way,
        stops=stops,
    )


def _must_be_pinned(release: Release, history: ReleaseHistory) -> bool:
    # ECS asks again what a tag stands for: where the same name brought other images, only a digest brings these back.
    return not release.active or tag_was_moved(release, history)


def tag_was_moved(release: Release, history: ReleaseHistory) -> bool:
    """Whether the name of one of its images is known to have brought another image too."""
    known = (history.current, *history.releases.values())
    return any(_moved(release, other) for other in known)


def _moved(release: Release, other: Release) -> bool:
    digests = {image.name: image.digest for image in other.own if image.digest}
    return any(
        image.digest and digests.get(image.name, image.digest) != image.digest for image in release.own
    )


def may_bring_another_image(history: ReleaseHistory) -> Iterator[str]:
    """Say that fresh tasks of what runs may run other code, because ECS asks again what a tag stands for: any tag can be moved."""
    current = history.current
    names = [image.name for image in current.own if not image.pinned]
    moves = any(image.floats for image in current.own) or tag_was_moved(current, history)
    if names:
        other = f", which may be other code than {current.fingerprint} that runs now"
        now = other if moves and current.digests else ""
        yield f"New tasks run what {', '.join(names)} points to at that time{now}."


def moved_tag(before: Release, now: Release) -> str | None:
    """Say that fresh tasks of the same image names run another image than those before them."""
    if not _moved(before, now):
        return None
    names = ", ".join(image.name for image in now.own)
    return f"The tag was moved: fresh tasks of {names} run {now.fingerprint}, before it was {before.fingerprint}."


def _not_restored(target: Target) -> Iterator[str]:
    yield STAYS
    yield "The number of tasks is not changed."
    if target.terraform:
        yield f"Terraform in {target.terraform.directory} still names the release that is taken back."


def _afterwards(current: Release, release: Release, way: Way) -> tuple[str, ...]:
    if way == "force":
        return ()
    return (f"Once verified, {release.revision} is tagged good and {current.revision} bad.",)


def _unpinned(release: Release, way: Way) -> str | None:
    if way == "register" and not release.digests:
        return f"{release.name} is deregistered and its image digest is not known: its tag may have moved"
    return None


def _headline(target: Target, current: Release, release: Release, way: Way) -> str:
    if way == "force":
        return f"Start fresh tasks of {current.name} for {target.service} in {target.environment}"
    return f"Put {target.service} in {target.environment} back from {current.name} to {release.name}"


def _calls(target: Target, release: Release, way: Way, stops: str | None) -> tuple[PlannedCall, ...]:
    match way:
        case "stop":
            return (calls.stop(stops),)
        case "force":
            return (calls.force(target),)
        case "terraform":
            return ()  # Terraform itself says what it does
        case "deploy":
            return (calls.deploy(target, release),)
        case "register":
            return calls.register(release), calls.deploy(target, release, registered=True)


def _follows(target: Target, current: Release, release: Release, way: Way) -> Iterator[Follow]:
    """Say what the same yes is for besides: the undo of an abort, and what is written into the ledger."""
    if way == "force":
        return
    if way != "terraform":
        back = (calls.deploy(target, current),)
        yield Follow(
            kind="undo", what=f"Put {current.name} back where somebody aborts", calls=back, within=DAY
        )
    new = way in {"register", "terraform"}
    marks = (calls.mark(release, Judgement.GOOD, registered=new), calls.mark(current, Judgement.BAD))
    yield Follow(kind="mark", what="Tag what was found out about both releases", calls=marks, within=DAY)


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
    names, where = ", ".join(release.unclear), target.table
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
