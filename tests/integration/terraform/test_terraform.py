"""Terraform for real: plans are shown and hashed, applied once, and whatever dies is found out."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import signal
import socket
import stat
import time
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from activities.terraform.run import NOT_STARTED
from activities.terraform.state import Lock, read_lock
from runbook_model.errors import (
    ApplyFailedError,
    CutOffApplyError,
    InputError,
    StalePlanError,
    StateLockedError,
    TerraformError,
)
from tests.integration.terraform.terraform_stage import PRINTED, RUN, SECRET, Backend, Infrastructure
from tests.sandbox_under_test import until


@pytest.fixture
def infrastructure(tmp_path):
    """A module that was applied with 1.1.0."""
    made = Infrastructure(tmp_path)
    applied = made.terraform("apply", "-auto-approve", "-var=image_tag=1.1.0")
    assert applied.returncode == 0, applied.stderr
    (made.directory / "ran").unlink()
    return made


@pytest.fixture
def remote(tmp_path):
    """The same with its state behind HTTP, not initialised yet."""
    backend = Backend()
    yield Infrastructure(tmp_path, backend.module), backend
    backend.close()


class TestPlan:
    async def test_shows_what_changes_before_and_after_and_nothing_else(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        by_address = {resource.address: resource for resource in plan.resources}
        definition, service = (
            by_address["terraform_data.task_definition"],
            by_address["terraform_data.service"],
        )
        shown = {attribute.path: (attribute.before, attribute.after) for attribute in definition.attributes}
        assert shown["output"] == (None, "(known after apply)")
        assert shown["input.containers[0].image"] == ('"shop:1.1.0"', '"shop:1.0.0"')
        assert not [path for path in shown if "same" in path]
        assert (definition.action, service.action) == ("update", "replace")
        assert [(output.before, output.after) for output in plan.outputs] == [('"1.1.0"', '"1.0.0"')]
        assert not plan.empty

    async def test_of_what_is_so_already_is_empty(self, infrastructure):
        plan = await infrastructure.plan("1.1.0")
        assert plan.empty
        assert plan.summary == "Terraform has nothing to change"

    async def test_has_one_hash_however_often_it_is_made(self, infrastructure):
        first = await infrastructure.plan("1.0.0")
        file = next(infrastructure.store.glob("*.tfplan"))
        before = file.read_bytes()
        until(
            lambda: int(time.time()) > int(file.stat().st_mtime)
        )  # what differs are time stamps, in seconds
        second = await infrastructure.plan("1.0.0")
        assert second == first
        assert file.read_bytes() != before

    async def test_has_another_hash_for_another_tag_and_for_another_state(self, infrastructure):
        first = await infrastructure.plan("1.0.0")
        assert (await infrastructure.plan("0.9.0")).hash != first.hash
        assert infrastructure.somebody_applies("1.0.5").wait() == 0
        assert (await infrastructure.plan("1.0.0")).hash != first.hash

    async def test_shows_no_secret(self, infrastructure):
        text = (await infrastructure.plan("1.0.0")).model_dump_json()
        assert SECRET not in text
        assert "(sensitive)" in text
        assert "[redacted]" in text

    async def test_says_nothing_of_the_state_but_what_changes(self, infrastructure):
        text = (await infrastructure.plan("1.0.0")).model_dump_json()
        state = json.loads((infrastructure.directory / "terraform.tfstate").read_text())
        assert state["lineage"] not in text
        assert "not shown" not in text

    async def test_lies_where_only_its_worker_reads_it(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        (file,) = infrastructure.store.iterdir()
        assert file.name == f"{RUN}-{plan.hash}.tfplan"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(infrastructure.store.stat().st_mode) == 0o700

    async def test_is_not_made_where_others_could_read_it(self, infrastructure):
        infrastructure.store.mkdir(mode=0o755)
        with pytest.raises(InputError, match="others may read it"):
            await infrastructure.plan("1.0.0")

    async def test_initialises_the_module_when_it_must(self, remote):
        infrastructure, _ = remote
        assert not (infrastructure.directory / ".terraform").exists()
        assert not (await infrastructure.plan("1.0.0")).empty
        assert (infrastructure.directory / ".terraform").exists()

    async def test_says_which_variable_the_module_does_not_have(self, infrastructure):
        with pytest.raises(InputError, match="undeclared variable"):
            await infrastructure.plan("1.0.0", nosuch="1")

    async def test_says_what_is_wrong_with_the_module(self, infrastructure):
        (infrastructure.directory / "more.tf").write_text('resource "terraform_data" "app" { nonsense = 1 }')
        with pytest.raises(TerraformError, match="could not plan: Unsupported argument"):
            await infrastructure.plan("1.0.0")

    async def test_says_when_there_is_no_module(self, infrastructure):
        (infrastructure.directory / "main.tf").unlink()
        with pytest.raises(InputError, match="No configuration files"):
            await infrastructure.plan("1.0.0")


class TestWorkspace:
    """One folder for two environments: ``staging`` is selected, with 5.2.0, and ``prod`` has 5.1.0."""

    @pytest.fixture
    def shared(self, tmp_path):
        made = Infrastructure(tmp_path)
        for workspace, tag in (("prod", "5.1.0"), ("staging", "5.2.0")):
            assert made.terraform("workspace", "new", workspace).returncode == 0
            assert made.terraform("apply", "-auto-approve", f"-var=image_tag={tag}").returncode == 0
        return made

    @staticmethod
    def images(plan):
        found = (attribute for resource in plan.resources for attribute in resource.attributes)
        return [(item.before, item.after) for item in found if item.path.endswith("image")]

    async def test_of_the_catalog_is_planned_in_and_what_the_folder_has_selected_stays_selected(self, shared):
        shared.owned(workspace="prod")
        plan = await shared.plan("5.0.0")
        assert self.images(plan) == [('"shop:5.1.0"', '"shop:5.0.0"')]
        assert plan.workspace == "prod"
        assert plan.command == f"TF_WORKSPACE=prod terraform -chdir={shared.directory} apply"
        assert shared.terraform("workspace", "show").stdout.strip() == "staging"

    async def test_of_the_catalog_is_applied_in_and_no_other(self, shared):
        shared.owned(workspace="prod")
        await shared.apply(await shared.plan("5.0.0"))
        assert (await shared.plan("5.0.0")).empty
        shared.owned(workspace="staging")
        assert (await shared.plan("5.2.0")).empty

    async def test_that_holds_nothing_is_reported(self, shared):
        shared.owned(workspace="prdo")
        assert (await shared.plan("5.0.0")).from_nothing
        shared.owned(workspace="prod")
        assert not (await shared.plan("5.0.0")).from_nothing

    async def test_has_its_own_files_of_values(self, shared):
        (shared.directory / "prod.tfvars").write_text('token = "other"')
        shared.owned(workspace="prod", var_files=("prod.tfvars",))
        plan = await shared.plan("5.1.0")
        assert plan.addresses == ("terraform_data.task_definition",)
        assert plan.command.endswith("apply -var-file=prod.tfvars")


class TestApply:
    async def test_applies_the_plan_once_and_leaves_no_file_behind(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        applied = await infrastructure.apply(plan)
        assert applied.summary.startswith("Apply complete!")
        assert not applied.adopted
        assert infrastructure.ran() == ["started", "ended"]
        assert list(infrastructure.store.iterdir()) == []
        assert (await infrastructure.plan("1.0.0")).empty

    async def test_makes_a_lost_plan_again_and_applies_it_if_it_is_the_same(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        next(infrastructure.store.iterdir()).unlink()
        await infrastructure.apply(plan)
        assert infrastructure.ran() == ["started", "ended"]

    async def test_does_not_apply_a_lost_plan_that_would_be_another_now(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        next(infrastructure.store.iterdir()).unlink()
        assert infrastructure.somebody_applies("1.0.5").wait() == 0
        with pytest.raises(StalePlanError) as stale:
            await infrastructure.apply(plan)
        assert stale.value.certainly_not_made
        assert infrastructure.ran() == ["started", "ended"]  # somebody's

    async def test_does_not_apply_a_stale_plan(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        assert infrastructure.somebody_applies("1.0.5").wait() == 0
        with pytest.raises(StalePlanError, match="Saved plan is stale") as stale:
            await infrastructure.apply(plan)
        assert stale.value.certainly_not_made
        assert (await infrastructure.plan("1.0.5")).empty

    async def test_says_that_some_of_it_may_be_done_when_terraform_fails(self, infrastructure):
        plan = await infrastructure.plan("1.0.0", then="exit 3")
        with pytest.raises(ApplyFailedError, match="exit status 3") as failed:
            await infrastructure.apply(plan)
        assert not failed.value.certainly_not_made
        assert not failed.value.retryable
        assert SECRET not in str(failed.value)
        assert PRINTED not in str(failed.value)

    async def test_says_how_far_it_is_but_no_secret(self, infrastructure):
        plan = await infrastructure.plan("1.0.0", then="sleep 3")
        await infrastructure.apply(plan)
        text = str(infrastructure.heartbeats)
        assert "terraform_data.service" in text
        assert SECRET not in text
        assert PRINTED not in text


class TestLock:
    async def test_somebodys_is_waited_for_and_they_are_named(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        somebody = infrastructure.somebody_applies("1.1.0-rc", seconds=3)
        until(lambda: infrastructure.ran() == ["started"])
        with pytest.raises(StalePlanError):  # they changed the state meanwhile
            await infrastructure.apply(plan)
        assert somebody.wait() == 0
        user = pwd.getpwuid(os.getuid()).pw_name
        assert f"locked by {user}@{socket.gethostname()} for apply" in str(infrastructure.heartbeats)

    async def test_of_somebody_who_keeps_it_ends_the_wait(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        somebody = infrastructure.somebody_applies("1.1.0-rc", seconds=8)
        until(lambda: infrastructure.ran() == ["started"])
        with pytest.raises(StateLockedError, match=r"is locked by .* for apply since") as locked:
            await infrastructure.apply(plan, patience=1)
        assert locked.value.certainly_not_made
        assert somebody.wait() == 0

    async def test_file_that_a_killed_terraform_left_holds_nobody_up(self, infrastructure):
        somebody = infrastructure.somebody_applies("1.0.5", seconds=30)
        until(lambda: infrastructure.ran() == ["started"])
        somebody.kill()
        somebody.wait()
        assert (infrastructure.directory / ".terraform.tfstate.lock.info").exists()
        assert not (await infrastructure.plan("1.0.0")).empty

    async def test_that_a_killed_terraform_left_is_reported_with_the_fix_and_never_broken(self, remote):
        infrastructure, backend = remote
        plan = await infrastructure.plan("1.0.0")
        unlocked = backend.unlocked
        somebody = infrastructure.somebody_applies("1.0.5", seconds=30)
        until(lambda: infrastructure.ran() == ["started"])
        somebody.kill()
        somebody.wait()
        fix = f"terraform -chdir={infrastructure.directory} force-unlock {backend.lock_id}"
        with pytest.raises(StateLockedError, match="only if it is not") as locked:
            await infrastructure.apply(plan, patience=1)
        assert fix in str(locked.value)
        assert backend.lock
        assert backend.unlocked == unlocked

    def test_of_our_own_on_this_machine_without_a_terraform_is_left_behind(self, tmp_path, monkeypatch):
        user = pwd.getpwuid(os.getuid()).pw_name
        lock = read_lock(f"Lock Info:\n  ID:        7a\n  Who:       {user}@{socket.gethostname()}\n")
        monkeypatch.setattr("activities.terraform.state.PROCESSES", tmp_path)
        assert lock.is_left_behind
        (tmp_path / "12").mkdir()
        (tmp_path / "12/comm").write_text("terraform\n")
        assert not lock.is_left_behind
        assert not Lock(id="7a", who="bob@elsewhere").is_left_behind

    async def test_is_handed_over_when_the_worker_shuts_down(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        somebody = infrastructure.somebody_applies("1.1.0-rc", seconds=4)
        until(lambda: infrastructure.ran() == ["started"])
        applying = asyncio.create_task(infrastructure.apply(plan))
        while "locked" not in str(infrastructure.heartbeats):
            await asyncio.sleep(0.05)
        infrastructure.environment.worker_shutdown()
        with pytest.raises(ApplicationError) as handed_over:
            await applying
        assert handed_over.value.type == "HandedOver"
        assert infrastructure.heartbeats[-1] == (NOT_STARTED, 1)
        assert somebody.wait() == 0


class TestAfterADeath:
    async def test_of_the_worker_terraform_ends_in_order_and_nothing_is_applied_again(self, infrastructure):
        plan = await infrastructure.plan("1.0.0", then="sleep 20")
        worker = infrastructure.worker_that_applies(plan)
        until(lambda: infrastructure.ran() == ["started"])
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        until(lambda: not infrastructure.locked())
        with pytest.raises(CutOffApplyError, match=r"left to do: replace terraform_data.service") as cut_off:
            await infrastructure.apply(plan, attempt=2)
        assert not cut_off.value.certainly_not_made
        assert not cut_off.value.retryable
        assert infrastructure.ran() == ["started"]
        assert not [path for path in infrastructure.directory.iterdir() if "lock.info" in path.name]

    async def test_of_the_worker_what_remains_can_be_applied_as_a_plan_of_its_own(self, infrastructure):
        plan = await infrastructure.plan("1.0.0", then="sleep 20")
        worker = infrastructure.worker_that_applies(plan)
        until(lambda: infrastructure.ran() == ["started"])
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        until(lambda: not infrastructure.locked())
        rest = await infrastructure.plan("1.0.0")
        assert rest.addresses == ("terraform_data.service",)
        await infrastructure.apply(rest)
        assert (await infrastructure.plan("1.0.0")).empty

    async def test_after_all_was_applied_it_is_taken_as_done(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        await infrastructure.apply(plan)
        again = await infrastructure.apply(plan, attempt=2)
        assert again.adopted
        assert infrastructure.ran() == ["started", "ended"]

    async def test_an_attempt_that_may_have_started_is_not_repeated_even_if_nothing_is_to_be_seen_of_it(
        self, infrastructure
    ):
        plan = await infrastructure.plan("1.0.0")
        with pytest.raises(CutOffApplyError):
            await infrastructure.apply(plan, attempt=2, heartbeat_details=["starting"])
        assert infrastructure.ran() == []

    async def test_an_attempt_that_said_it_had_not_started_is_repeated(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        await infrastructure.apply(plan, attempt=2, heartbeat_details=[NOT_STARTED, 1])
        assert infrastructure.ran() == ["started", "ended"]

    async def test_what_an_attempt_before_the_last_said_counts_for_nothing(self, infrastructure):
        plan = await infrastructure.plan("1.0.0")
        with pytest.raises(CutOffApplyError):
            await infrastructure.apply(plan, attempt=3, heartbeat_details=[NOT_STARTED, 1])
        assert infrastructure.ran() == []


class TestAbort:
    async def test_interrupts_terraform_gently_and_waits_until_the_lock_is_free(self, infrastructure):
        plan = await infrastructure.plan("1.0.0", then="sleep 20")
        applying = asyncio.create_task(infrastructure.apply(plan))
        while infrastructure.ran() != ["started"]:
            await asyncio.sleep(0.05)
        infrastructure.environment.cancel()
        with pytest.raises(asyncio.CancelledError):
            await applying
        assert not infrastructure.locked()
        assert infrastructure.ran() == ["started"]
        assert (await infrastructure.plan("1.0.0")).addresses == ("terraform_data.service",)

    async def test_leaves_no_process_behind(self, infrastructure):
        plan = await infrastructure.plan("1.0.0", then="sleep 20")
        applying = asyncio.create_task(infrastructure.apply(plan))
        while infrastructure.ran() != ["started"]:
            await asyncio.sleep(0.05)
        infrastructure.environment.cancel()
        with pytest.raises(asyncio.CancelledError):
            await applying
        assert [item for item in _working_in(infrastructure.directory) if "terraform" in item] == []


def _working_in(directory: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == directory:
                found.append((process / "comm").read_text().strip())
        except OSError:
            continue
    return found
