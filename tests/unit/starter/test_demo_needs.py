"""A story whose program is missing says so, with the fix, before anything starts."""

import pytest

from starter.__main__ import run
from starter.demo.stage import FIXES
from starter.demo.stories import STORIES


@pytest.fixture
def say(capsys):
    def call(*words):
        code = run(words)
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine with nothing on PATH; PostgreSQL is looked for in Debian's own folder too."""
    monkeypatch.setenv("PATH", str(tmp_path))


def test_a_story_names_what_is_missing_and_how_to_get_it(say, bare):
    code, out, err = say("demo", "load")
    assert (code, out) == (1, "")
    assert (
        err
        == "runbook: load cannot be played: prometheus is not on this machine: apt-get install prometheus\n"
    )


def test_the_list_says_which_stories_cannot_be_played(say, bare):
    code, out, err = say("demo", "--list")
    assert code == 0, err
    assert all(story.name in out for story in STORIES)
    text = {line.split()[0] for line in err.splitlines()}
    assert text >= {"bad-release-terraform", "load", "leak", "slow-database", "failing-release"}
    assert not text & {"bad-release", "crash-loop"}


def test_there_is_a_story_for_every_procedure():
    assert {story.procedure for story in STORIES} >= {
        "rollback", "service-down", "high-error-rate", "high-latency", "resource-issues", "database-issues",
    }  # fmt: skip


def test_everything_that_a_story_needs_has_a_fix():
    assert {need for story in STORIES for need in story.needs} <= set(FIXES)
