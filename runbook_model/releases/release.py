"""Facts read from outside: releases, deployments and the state of a service. All frozen, all in history."""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum

from runbook_model.fact import Fact
from runbook_model.releases.shifting import Shifting
from runbook_model.text.sentences import count_of

UNKNOWN = "unknown"
"""Stands for a digest that is not known."""

DIGEST_FROM = 7
"""Characters of a digest that name an image."""


class Judgement(StrEnum):
    """What people, or the product, found out about a release."""

    GOOD = "good"
    BAD = "bad"


class Mark(Fact):
    """One entry of the ledger of releases: a tag on the task definition."""

    verdict: Judgement
    digest: str
    """Fingerprint of the images that were judged; a moved tag makes the mark void."""
    source: str
    """The id of the run or incident, or who said so."""
    at: datetime


class Image(Fact):
    """A container's image: the name that the task definition holds and the digest that ran."""

    container: str
    name: str
    digest: str | None = None

    @property
    def pinned(self) -> bool:
        """Whether the name holds the digest itself, so that it brings the same image for ever."""
        return "@" in self.name

    @property
    def repository(self) -> str:
        """The name without tag and digest; the port of a registry is no tag."""
        name = self.name.partition("@")[0]
        head, _, tag = name.rpartition(":")
        return head if head and "/" not in tag else name

    @property
    def tag(self) -> str | None:
        """The tag of the name, also where a digest follows it."""
        return self.name.partition("@")[0].removeprefix(self.repository).removeprefix(":") or None

    @property
    def floats(self) -> bool:
        """Whether the name is made to bring newer images in time: ``latest`` or none, or another tag without a number."""
        return not self.pinned and not any(letter.isdigit() for letter in self.tag or "")

    @property
    def shown(self) -> str:
        """What people tell it by: the tag, else the start of the digest."""
        return self.tag or (self.digest or "")[:19]


class Release(Fact):
    """What runs or ran: a task definition revision and the digests of its images."""

    task_definition: str
    """ARN, revision included."""
    images: tuple[Image, ...] = ()
    container: str | None = None
    """The app's container, whose image is the release; None where every image counts."""
    unclear: tuple[str, ...] = ()
    """The names of its containers where it cannot be known which one is the app's."""
    active: bool = True
    """False once deregistered: it cannot be deployed as it is."""
    marks: tuple[Mark, ...] = ()

    @property
    def revision(self) -> str:
        """``family:revision``."""
        return self.task_definition.rpartition("/")[2]

    @property
    def own(self) -> tuple[Image, ...]:
        """The images that make the release: the app's, or all where no container is known to be the app's."""
        return tuple(image for image in self.images if self.container in {None, image.container})

    def has_image(self, name: str) -> bool:
        """Whether an image that makes the release has this name: a tag, with or without its ``v``, or a digest."""
        digest = name.removeprefix("sha256:")
        return any(
            image.tag in {name, name.removeprefix("v"), f"v{name}"}
            or name in {image.name, f"{image.repository}:{image.tag}"}
            or (len(digest) >= DIGEST_FROM and (image.digest or "").startswith(f"sha256:{digest}"))
            for image in self.own
        )

    @property
    def tag(self) -> str | None:
        """The tag of the app's image; None where there is none, or where several images have several."""
        tags = {image.tag for image in self.own}
        return tags.pop() if len(tags) == 1 else None

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of the images that make the release, or nothing when one of them is not known."""
        return _digests(self.own)

    @property
    def fingerprint(self) -> str:
        """What a mark is bound to: the app's image's digest, one made of all where all count, else ``unknown``."""
        return _fingerprint(self.digests)

    @property
    def name(self) -> str:
        """What people call it: ``family:revision (tag)``."""
        tags = ", ".join(image.shown for image in self.own)
        return f"{self.revision} ({tags})" if tags else self.revision

    @property
    def judged(self) -> Mark | None:
        """The newest of the marks that do not speak of other images than these: a moved tag makes a mark void."""
        # Marks were once bound to the images of all containers: those count too, as long as no image changed.
        known = {UNKNOWN, self.fingerprint, _fingerprint(_digests(self.images))}
        ours = (mark for mark in self.marks if self.fingerprint == UNKNOWN or mark.digest in known)
        return max(ours, key=lambda mark: mark.at, default=None)

    @property
    def is_bad(self) -> bool:
        """Whether it is marked bad."""
        return self.judged is not None and self.judged.verdict is Judgement.BAD

    @property
    def is_verified(self) -> bool:
        """Whether it is marked good: verified by the product, or said so by a person."""
        return self.judged is not None and self.judged.verdict is Judgement.GOOD

    def same_as(self, other: Release) -> bool:
        """Whether both would run the same: task definition, and digests as far as they are known."""
        same_digests = not self.digests or not other.digests or self.digests == other.digests
        return self.task_definition == other.task_definition and same_digests


def _digests(images: tuple[Image, ...]) -> tuple[str, ...]:
    known = {image.container: image.digest for image in images if image.digest}
    return tuple(known[name] for name in sorted(known)) if len(known) == len(images) else ()


def _fingerprint(digests: tuple[str, ...]) -> str:
    if len(digests) <= 1:
        return digests[0] if digests else UNKNOWN
    return f"sha256:{hashlib.sha256(' '.join(digests).encode()).hexdigest()}"


class Deployment(Fact):
    """One entry of a service's ``deployments``."""

    id: str
    status: str
    """PRIMARY, ACTIVE or INACTIVE."""
    task_definition: str
    desired: int
    running: int
    pending: int
    failed_tasks: int = 0
    rollout_state: str | None = None
    """IN_PROGRESS, COMPLETED or FAILED; absent behind a Classic load balancer."""
    rollout_reason: str | None = None
    created_at: datetime

    @property
    def counts(self) -> str:
        """Say how many of its tasks run, where tasks of another deployment do too."""
        what = "new task" if self.status == "PRIMARY" else "old task"
        some = f"{self.running} of {self.desired} {what}s" if self.desired else count_of(self.running, what)
        return f"{some} ({self.task_definition.rpartition('/')[2]})"


class Fence(Fact):
    """The state that a plan was made on: a change is only made while it still holds."""

    primary: str
    """Id of the PRIMARY deployment."""
    task_definition: str
    service_deployment: str | None = None
    """ARN of the current service deployment."""


class ServiceState(Fact):
    """An ECS service as DescribeServices reports it."""

    arn: str
    status: str
    """ACTIVE, DRAINING or INACTIVE."""
    controller: str = "ECS"
    strategy: str = "ROLLING"
    scheduling: str = "REPLICA"
    shifting: Shifting | None = None
    """How its deployments shift traffic; None where they do not."""
    desired: int
    running: int
    pending: int
    task_definition: str
    """Empty where the service has none of its own: an EXTERNAL controller keeps it in task sets."""
    deployments: tuple[Deployment, ...]
    service_deployment: str | None = None
    service_revisions: tuple[str, ...] = ()
    balanced: tuple[str, ...] = ()
    """Names of the containers behind its load balancers."""
    target_groups: tuple[str, ...] = ()
    """ARNs of its target groups, those that blue/green deployments alternate with too."""
    discovery_names: tuple[str, ...] = ()
    """What callers in Service Connect know it by."""
    events: tuple[str, ...] = ()
    """The newest messages, newest first."""
    read_at: datetime
    serving: int | None = None
    """Tasks of the revision that has fewest of those that users reach, where that was asked and two revisions run."""

    @property
    def two_revisions(self) -> bool:
        """Whether two revisions have tasks, each a count of its own: while a deployment shifts traffic."""
        return self.shifting is not None and len(self.deployments) > 1

    @property
    def complete(self) -> bool:
        """Whether as many tasks run as are wanted; where two revisions run, whether one of them has so many."""
        if not self.two_revisions:
            return self.running >= self.desired
        return any(item.running >= self.desired for item in self.deployments)

    @property
    def counts(self) -> str:
        """Say how many tasks run; where two revisions run, of each."""
        if not self.two_revisions:
            return f"{self.running} of {self.desired} tasks run"
        newest_first = sorted(self.deployments, key=lambda item: item.status != "PRIMARY")
        return f"{' and '.join(item.counts for item in newest_first)} run"

    @property
    def primary(self) -> Deployment | None:
        """The deployment that the service is on or on its way to."""
        return next((d for d in self.deployments if d.status == "PRIMARY"), None)

    @property
    def fence(self) -> Fence:
        """What must still hold when a change planned on this state is made."""
        primary = self.primary
        return Fence(
            primary=primary.id if primary else "",
            task_definition=self.task_definition,
            service_deployment=self.service_deployment,
        )


UNDER_WAY = frozenset({"PENDING", "IN_PROGRESS"})

ROLLING_BACK = frozenset({"STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"})
