"""The figures of each of two releases between which traffic is being shifted, by their target groups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from activities.cloudwatch.traffic import Ways, balancer_question, read_figures
from activities.ecs.traffic import Behind, read_behind
from activities.elb.groups import describe_groups
from runbook_model.catalog.target import Target
from runbook_model.errors import RunbookError
from runbook_model.measured.balancing import Figures, TargetGroup, figures_of
from runbook_model.measured.publishing import Published, published
from runbook_model.measured.revisions import (
    RevisionFigures,
    RevisionPair,
    RevisionsRead,
    RunningRevision,
)

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients
    from activities.measuring.sources import Sources

NO_GROUP = "ECS names no target group of it"
NOT_COUNTED = "only application load balancers count requests"
ONE_GROUP = "both releases are behind the same target group"
NOT_ASKED = "the catalog's evidence names no load balancer"


def measure_revisions(sources: Sources, target: Target, pair: RevisionPair, now: datetime) -> RevisionsRead:
    """Measure both; what cannot be read is not known, with the reason, and never an error. Blocks."""
    window = published(target.verify, now - target.verify.lag)
    coming, old = _asked(pair.coming, pair, window), _asked(pair.old, pair, window)
    try:
        coming, old = _measure(sources.aws, target, (coming, old), window)
    except RunbookError as error:
        coming, old = coming.unread(error), old.unread(error)
    return RevisionsRead(coming=coming, old=old, has_traffic=pair.has_traffic)


def _measure(
    clients: AwsClients, target: Target, asked: tuple[RevisionFigures, RevisionFigures], window: Published
) -> tuple[RevisionFigures, RevisionFigures]:
    coming, old = asked
    if not target.has("load-balancer"):
        return coming.unanswered(NOT_ASKED), old.unanswered(NOT_ASKED)
    behind = read_behind(clients, target, [coming.revision.arn, old.revision.arn])
    found = [behind.get(item.revision.arn, Behind((), None)) for item in asked]
    if set(found[0].groups) & set(found[1].groups):
        return coming.unanswered(ONE_GROUP), old.unanswered(ONE_GROUP)
    if not found[0].groups or not found[1].groups:
        return coming.unanswered(NO_GROUP), old.unanswered(NO_GROUP)
    groups = describe_groups(clients, target, (*found[0].groups, *found[1].groups))
    counting = tuple(group for group in groups if group.balancer_name.startswith("app/"))
    if not counting:
        return coming.unanswered(NOT_COUNTED), old.unanswered(NOT_COUNTED)
    figures, _ = read_figures(clients, target, Ways(counting), window)
    least, question = target.thresholds.min_requests, balancer_question(counting, window)

    def measured(item: RevisionFigures, own: Behind) -> RevisionFigures:
        item = item.model_copy(update={"query": question, "target_groups": _names(counting, own)})
        if own.since is None:
            return item.unanswered("ECS does not say since when its target groups are its own")
        return figures_of(item, _part(figures, counting, own), window, own.since, least)

    return measured(coming, found[0]), measured(old, found[1])


def _names(groups: Sequence[TargetGroup], own: Behind) -> tuple[str, ...]:
    return tuple(group.name for group in groups if group.arn in own.groups)


def _part(figures: Figures, groups: Sequence[TargetGroup], own: Behind) -> Figures:
    """Return the figures of one revision's groups; what load balancers answered themselves is nobody's."""
    mine = zip(groups, figures.groups, strict=not figures.why)
    return Figures(groups=tuple(found for group, found in mine if group.arn in own.groups), why=figures.why)


def _asked(revision: RunningRevision, pair: RevisionPair, window: Published) -> RevisionFigures:
    return RevisionFigures(
        quality="no-data",
        source="load-balancer",
        query="DescribeServiceRevisions",
        at=window.end,
        revision=revision,
        wanted=pair.wanted,
    )
