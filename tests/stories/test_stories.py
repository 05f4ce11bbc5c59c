"""Every story of ``runbook demo`` ends as asked, by the AWS calls and with the pages that were recorded of it."""

import asyncio
import json

import pytest

from starter.commands.trying.demo import STORIES
from tests.stories.play import played
from tests.stories.recording import RECORDED, differences

EVERY_DAY = ("bad-release", "incident")
REST = tuple(story.name for story in STORIES if story.name not in EVERY_DAY)

pytestmark = [pytest.mark.xdist_group("stories")]
"""One at a time: a story compares requests a second with what is usual, so four at once would be a story of their own."""


async def ends_as_recorded(story):
    ended, found, wrong = await asyncio.to_thread(played, story)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert wrong == []  # each change was made once, with a yes to exactly that call, and none after an abort
    text = json.loads(ended.stdout)
    assert [each for each in text["expectations"] if not each["ok"]] == [], ended.stderr
    assert (text["story"], text["ok"], text["outcome"]) == (story, True, "recovered")
    different = differences(story, found)
    assert not different, "\n".join(
        [*different.values(), f"Is this wanted? python -m tests.stories.record {story} records it again."]
    )
    return text


@pytest.mark.rare
async def test_the_bad_release_ends_as_recorded():
    text = await ends_as_recorded("bad-release")
    assert text["aws_changes"] == ["UpdateService"]


@pytest.mark.rare
async def test_the_incident_ends_as_recorded():
    text = await ends_as_recorded("incident")
    assert text["id"] == "incident/prod/ai-processor"
    assert text["aws_changes"] == ["UpdateService"]


@pytest.mark.rare
@pytest.mark.parametrize("story", REST)
async def test_a_story_ends_as_recorded(story):
    await ends_as_recorded(story)


def test_every_story_is_recorded():
    assert {file.stem for file in RECORDED.iterdir()} == {story.name for story in STORIES}
