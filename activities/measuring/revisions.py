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
from runbook_model.measured.balancing import Figures, TargetGroup, answer_together, figures_of
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
    asked = RevisionsRead(
        coming=_asked(pair.coming, pair, window),
        old=_asked(pair.old, pair, window),
        has_traffic=pair.has_traffic,
    )
    try:
        return _measure(sources.aws, target, asked, window)
    except RunbookError as error:
        both = {"coming": asked.coming.unread(error), "old": asked.old.unread(error)}
        return asked.model_copy(update=both)


def _measure(clients: AwsClients, target: Target, asked: RevisionsRead, window: Published) -> RevisionsRead:
    if not target.has("load-balancer"):
        return _neither(asked, NOT_ASKED)
    arns = (asked.coming.revision.arn, asked.old.revision.arn)
    behind = read_behind(clients, target, arns)
    coming, old = (behind.get(arn, Behind((), None)) for arn in arns)
    if not coming.groups or not old.groups:
        return _neither(asked, NO_GROUP)
    if set(coming.groups) & set(old.groups):
        return _neither(asked, ONE_GROUP)
    groups = describe_groups(clients, target, (*coming.groups, *old.groups))
    counting = tuple(group for group in groups if group.balancer_name.startswith("app/"))
    if not counting:
        return _neither(asked, NOT_COUNTED)
    figures, _ = read_figures(clients, target, Ways(counting), window)
    least, question = target.thresholds.min_requests, balancer_question(counting, window)

    def measured(item: RevisionFigures, own: Behind) -> RevisionFigures:
        item = item.model_copy(update={"query": question, "target_groups": _names(counting, own)})
        if own.since is None:
            return item.unanswered("ECS does not say since when its target groups are its own")
        return figures_of(item, _part(figures, counting, own), window, own.since, least)

    new = measured(asked.coming, coming)
    shared = window._replace(begin=new.begin or window.begin)
    parts = (_part(figures, counting, coming), _part(figures, counting, old))
    found = {
        "coming": new,
        "old": measured(asked.old, old),
        "together": answer_together(*parts, shared),
    }
    return asked.model_copy(update=found)


def _neither(asked: RevisionsRead, why: str) -> RevisionsRead:
    both = {"coming": asked.coming.unanswered(why), "old": asked.old.unanswered(why)}
    return asked.model_copy(update=both)


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
