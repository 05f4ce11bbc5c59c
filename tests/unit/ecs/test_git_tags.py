"""Git tags as the last resort: which tag, which image, and that a person always has to agree."""

import os
import subprocess

import pytest
from temporalio.testing import ActivityEnvironment

from activities.git.activities import GitActivities
from runbook_model.errors import RejectedError
from runbook_model.releases.release import Image
from tests.observing import a_target
from tests.procedures.stage.outside import Outside, release
from workflows.decisions.rollback.tags import only_tags_are_left, plan_from_tags

TAGS = ("v1.3.0", "v1.2.0", "v1.1.0", "v1.0.0")


@pytest.fixture
def world():
    """A service whose first and only deployment brought 1.2.0."""
    outside = Outside()
    outside.history.clear()
    outside.deployed(release(7, "1.2.0"))
    return outside


async def history_of(outside):
    return await ActivityEnvironment().run(outside.read_history, outside.target)


async def test_the_tag_before_the_current_one_is_planned_and_needs_a_yes(world):
    plan = plan_from_tags(world.target, await history_of(world), TAGS, ())
    assert plan.way == "register"
    assert [image.name for image in plan.after.images] == ["shop:1.1.0"]
    assert "whether it ever ran well is unknown" in plan.needs_yes


async def test_a_leading_v_follows_the_image_that_runs(world):
    world.history.clear()
    world.deployed(release(7, "v1.2.0"))
    plan = plan_from_tags(world.target, await history_of(world), TAGS, ())
    assert plan.after.images[0].name == "shop:v1.1.0"


async def test_other_containers_keep_their_images(world):
    sidecar = Image(container="proxy", name="proxy:9", digest="sha256:" + "9" * 64)
    current = release(7, "1.2.0")
    world.history.clear()
    world.deployed(current.model_copy(update={"images": (*current.images, sidecar)}))
    plan = plan_from_tags(world.target, await history_of(world), TAGS, ())
    assert plan.after.images[1] == sidecar


async def test_a_tag_that_was_found_wanting_is_passed_over(world):
    plan = plan_from_tags(world.target, await history_of(world), TAGS, ("1.1.0",))
    assert plan.after.images[0].tag == "1.0.0"


@pytest.mark.parametrize("tags", [(), ("v1.2.0",), ("v9", "v8")])
async def test_without_an_older_tag_there_is_no_plan(world, tags):
    assert plan_from_tags(world.target, await history_of(world), tags, ()) is None


async def test_tags_are_not_for_what_a_person_named(world):
    assert not only_tags_are_left(world.target, await history_of(world), "1.0.0")


class TestARealRepository:
    @pytest.fixture
    def repository(self, tmp_path):
        """A repository with one commit and a few tags."""

        def git(*argv):
            subprocess.run(
                ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *argv],
                cwd=tmp_path, check=True, capture_output=True,
            )  # fmt: skip

        git("init", "--quiet")
        git("commit", "--allow-empty", "--message=first")
        for tag in ("v1.2.0", "v1.10.0", "v1.9.0"):
            git("tag", tag)
        return a_target(repository=str(tmp_path))

    def test_tags_come_by_version_newest_first(self, repository):
        found = ActivityEnvironment().run(GitActivities().list_tags, repository)
        assert found.tags == ("v1.10.0", "v1.9.0", "v1.2.0")

    def test_no_repository_is_one_clear_line(self, tmp_path):
        with pytest.raises(RejectedError, match="could not list the tags of"):
            ActivityEnvironment().run(GitActivities().list_tags, a_target(repository=str(tmp_path / "none")))

    def test_a_repository_cannot_smuggle_an_option_in(self, tmp_path):
        trap = a_target(repository=f"--upload-pack=touch {tmp_path}/caught")
        with pytest.raises(RejectedError):
            ActivityEnvironment().run(GitActivities().list_tags, trap)
        assert not (tmp_path / "caught").exists()

    def test_git_gets_none_of_the_workers_secrets_and_a_home_of_its_own(
        self, repository, tmp_path, monkeypatch
    ):
        heard = tmp_path / "heard"
        git = tmp_path / "git"
        git.write_text(f"#!/bin/sh\nenv > {heard}\ntest -d $HOME && echo there >> {heard}\n")
        git.chmod(0o755)
        for name, value in {"PATH": f"{tmp_path}:/bin:/usr/bin", "SLACK_TOKEN": "s", "SHOP_DSN": "d"}.items():
            monkeypatch.setenv(name, value)
        asked = repository.model_copy(update={"ssh_key_file": "/keys/tags"})
        ActivityEnvironment().run(GitActivities().list_tags, asked)
        got = dict(line.split("=", 1) for line in heard.read_text().splitlines() if "=" in line)
        assert not {"SLACK_TOKEN", "SHOP_DSN", "SSH_AUTH_SOCK", "AWS_ACCESS_KEY_ID"} & set(got)
        assert got["GIT_SSH_COMMAND"].endswith("-i /keys/tags")
        assert got["HOME"] != os.environ["HOME"]
        assert "there" in heard.read_text()
