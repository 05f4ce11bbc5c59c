"""What a recording of a story compares, and what it passes over."""

import copy

import pytest

from tests.stories import recording as recordings
from tests.stories.recording import differences, keep, recording

LEFT = {
    "calls": [
        {"service": "ecs", "action": "DescribeServices", "parameters": {"cluster": "prod"}, "error": None},
        {
            "service": "ecs",
            "action": "UpdateService",
            "parameters": {"cluster": "prod", "desiredCount": 5},
            "error": None,
        },
        {"service": "ecs", "action": "TagResource", "parameters": {"resourceArn": "app:1"}, "error": None},
    ],
    "pages": [
        {
            "id": "remediation/prod/app",
            "run_id": "01a22b56-7a70-7680-b6e6-bf013ca74dd8",
            "started": "2026-11-30T07:23:37.456427Z",
            "outcome": "recovered",
            "summary": "2 of 2 tasks run app:1 (1.0.0)",
            "findings": ["leak: memory grows by 3.1 MB a minute"],
            "changes": [{"action": "UpdateService", "after": "5 tasks", "undone": None}],
            "plan": {"fence": {"primary": "ecs-svc/8260459550613607032"}},
            "readings": [
                {"kind": "memory", "quality": "good", "limit": 0.9, "value": 0.3, "detail": "30 % used"}
            ],
            "steps": [{"heading": "Look at memory", "step": "Read memory", "state": "done"}],
        }
    ],
}


@pytest.fixture
def compared(tmp_path, monkeypatch):
    """What differs once a story left something else than what was recorded of it."""
    monkeypatch.setattr(recordings, "RECORDED", tmp_path)
    keep("story", recording(LEFT))

    def compare(change):
        left = copy.deepcopy(LEFT)
        change(left)
        return differences("story", recording(left))

    return compare


def another_play(left):
    page = left["pages"][0]
    left["calls"].insert(0, left["calls"][0])
    page["run_id"] = "01a22b57-0000-7680-b6e6-bf013ca74dd8"
    page["started"] = "2026-12-01T08:00:00Z"
    page["summary"] = "3 of 3 tasks run app:1 (1.0.0)"
    page["steps"].insert(0, page["steps"][0])  # a poll more than the other time
    page["plan"]["fence"]["primary"] = "ecs-svc/1"
    middle = {**page["readings"][0], "quality": "no-data", "value": None, "detail": "nothing was read"}
    page["readings"] += [middle, {**page["readings"][0], "value": 0.31, "detail": "31 % used"}]


def test_another_play_of_the_same_code_is_the_same(compared):
    assert compared(another_play) == {}


STRUCTURE = {
    "a parameter of a change": lambda left: left["calls"][1]["parameters"].update(desiredCount=4),
    "a change that failed": lambda left: left["calls"][1].update(error="ClientException"),
    "a change that is missing": lambda left: left["calls"].pop(),
    "changes in another order": lambda left: left["calls"].reverse(),
    "another kind of read": lambda left: left["calls"][0]["parameters"].update(include=["TAGS"]),
    "an outcome": lambda left: left["pages"][0].update(outcome="inconclusive"),
    "what was found": lambda left: left["pages"][0].update(findings=["load: 40 requests a second"]),
    "how a change ended": lambda left: left["pages"][0]["changes"][0].update(undone="kept"),
    "the last reading of a kind": lambda left: left["pages"][0]["readings"].append(
        {**left["pages"][0]["readings"][0], "quality": "bad"}
    ),
    "a limit": lambda left: left["pages"][0]["readings"][0].update(limit=0.8),
    "a step more": lambda left: left["pages"][0]["steps"].append(
        {**left["pages"][0]["steps"][0], "step": "Read CPU"}
    ),
    "how a step ended": lambda left: left["pages"][0]["steps"][0].update(state="failed"),
    "a field's name": lambda left: left["pages"][0].update(result=left["pages"][0].pop("outcome")),
}


@pytest.mark.parametrize("change", STRUCTURE.values(), ids=STRUCTURE.keys())
def test_what_the_product_did_is_compared(compared, change):
    assert "structure" in compared(change)


TEXTS = {
    "a summary": lambda left: left["pages"][0].update(summary="2 of 2 tasks run app:2 (1.0.1)"),
    "a heading": lambda left: left["pages"][0]["steps"][0].update(heading="Read memory"),
    "a step": lambda left: left["pages"][0]["steps"][0].update(step="Read the memory"),
    "a finding": lambda left: left["pages"][0].update(findings=["leak: memory is used up"]),
}


@pytest.mark.parametrize("change", TEXTS.values(), ids=TEXTS.keys())
def test_another_sentence_differs_only_in_texts(compared, change):
    assert list(compared(change)) == ["texts"]
