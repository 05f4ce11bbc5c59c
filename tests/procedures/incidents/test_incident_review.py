"""The review at the end of an incident: asked for with its end, written from real histories, no reason to stay open."""

import asyncio
from datetime import timedelta

from activities.review.activities import Folder, ReviewActivities, gather
from activities.review.markdown import page
from activities.review.writing import write
from runbook_model.errors import AccessDeniedError
from tests.patience import PATIENCE
from tests.procedures.stage.incidents import QUICK
from workflows.incident import Incident

CLOSE = {"by": "bob", "root_cause": "a full disk"}


class Refuses:
    """A bucket that this worker may not write to."""

    def keep(self, _files):
        raise AccessDeniedError("could not write the review: AccessDenied")


class Slow:
    """A shelf that takes its time with the first review."""

    def __init__(self) -> None:
        self.started, self.may_end = asyncio.Event(), asyncio.Event()
        self.kept = []

    async def write_review(self, request):
        self.started.set()
        await self.may_end.wait()
        self.kept.append(request)


async def closed(stage):
    """An incident that a person opened and closed."""
    await stage.opens(impact="checkout fails")
    await stage.until(lambda now: now.announced)
    await stage.incident().execute_update(Incident.close, CLOSE)
    return await stage.over()


async def test_it_is_asked_for_with_the_incidents_end(stage, world):
    report = await closed(stage)
    (asked,) = world.reviews
    assert (asked.outcome, asked.summary) == (report.outcome, report.summary)
    assert asked.workflow_id == f"incident/{stage.environment}/shop"


async def test_one_that_cannot_be_written_keeps_no_incident_open(stage, world):
    world.reviewer = ReviewActivities(stage.client, Refuses())
    assert (await closed(stage)).state == "done"
    assert len(world.reviews) == 1


async def test_what_comes_in_while_it_is_written_makes_the_incident_continue(stage, world):
    world.reviewer = slow = Slow()
    await stage.opens()
    await stage.until(lambda now: now.announced)
    await stage.incident().execute_update(Incident.close, CLOSE)
    await asyncio.wait_for(slow.started.wait(), PATIENCE)
    await stage.fires("ServiceDown")
    slow.may_end.set()
    seen = await stage.running("service-down")
    assert (seen.outcome, seen.firing) == (None, 1)


async def test_what_is_written_at_the_end_is_what_is_printed_later(stage, world, tmp_path):
    world.reviewer = ReviewActivities(stage.client, Folder(tmp_path))
    world.rhythm = QUICK.model_copy(
        update={"cool_down": timedelta(hours=1)}
    )  # nothing starts again meanwhile
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await stage.cue("find", text="release shop:7 fails its requests")
    await stage.cue("change")
    await stage.ends("recovered", summary="It is back.")
    await stage.until(lambda now: now.procedures[-1].outcome)
    await stage.incident().execute_update(Incident.close, CLOSE)
    await stage.over()

    review = write(await gather(stage.client, f"incident/{stage.environment}/shop"))
    markdown, kept = (next(tmp_path.rglob(f"*.{kind}")) for kind in ("md", "json"))
    assert markdown.parent == tmp_path / stage.environment / "shop"
    assert (markdown.read_text(), kept.read_text()) == (page(review), review.to_json())

    assert [source.kind for source in review.sources] == ["Incident", "HighErrorRate"]
    (change,) = review.changes
    assert (change.before, change.after, change.state) == ("2", "1", "made")
    assert change.cite.workflow == f"remediation/{stage.environment}/shop"
    assert (review.messages[0].kind, review.messages[-1].kind) == ("started", "resolved")
    assert (review.root_cause.text, review.root_cause.said_by) == ("a full disk", "bob")

    alone = write(await gather(stage.client, f"remediation/{stage.environment}/shop"))
    assert [source.kind for source in alone.sources] == ["HighErrorRate"]
    assert alone.root_cause.text == "release shop:7 fails its requests"
