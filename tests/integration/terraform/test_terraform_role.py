"""Terraform runs by the environment's role: real Terraform, whose environment is recorded; STS answers by Stubber."""

from __future__ import annotations

import os
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from botocore.stub import Stubber

from activities.doctor.dependencies import validate
from activities.terraform.run import NOT_STARTED
from runbook_model.catalog.accounts import Account, AssumeRole
from runbook_model.errors import UnreachableError
from tests.integration.terraform.terraform_stage import Infrastructure, program

ARN = "arn:aws:iam::111122223333:role/incident-runbooks"
KEY, SECRET, TOKEN = "ASIAXXXXXXXXXXXXXXX1", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY99", "FwoGZXIvYXdzEXAMPLE"
SESSION = {"AccessKeyId": KEY, "SecretAccessKey": SECRET, "SessionToken": TOKEN}
IDENTITY = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
MODULE = """
variable "image_tag" { type = string }
resource "terraform_data" "service" {
  triggers_replace = [var.image_tag]
  provisioner "local-exec" { command = "env | tee seen" }
}
"""
RECORDER = """#!/bin/sh
printf '%s\\n' "$@" >> {folder}/arguments
env > {folder}/$1
exec {program} "$@"
"""


class Recorded(Infrastructure):
    """A module in an environment with a role, and a Terraform whose environment is kept for each command."""

    def __init__(self, folder):
        super().__init__(folder, MODULE)
        self.target = self.target.model_copy(update={"assume_role": AssumeRole(role_arn=ARN)})
        self.recorded = folder / "recorded"
        self.recorded.mkdir()
        recorder = folder / "terraform"
        recorder.write_text(RECORDER.format(folder=self.recorded, program=program()))
        recorder.chmod(0o755)
        self.program = str(recorder)
        self.sts = Stubber(self.clients.sts(Account(region="us-east-1")))

    def assumes(self, lasts=timedelta(minutes=15)):
        self.sts.add_response(
            "assume_role", {"Credentials": SESSION | {"Expiration": datetime.now(UTC) + lasts}}
        )

    def environment_of(self, command):
        lines = (self.recorded / command).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if line.startswith("AWS_"))


@pytest.fixture
def infrastructure(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "worker")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    made = Recorded(tmp_path)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/of/the/worker")  # not before: it would look for it
    with made.sts:
        yield made
        made.sts.assert_no_pending_responses()


async def test_every_command_has_the_roles_session_and_nothing_of_the_workers_identity(infrastructure):
    infrastructure.assumes()
    await infrastructure.apply(await infrastructure.plan("1.0.0"))
    for command in ("plan", "show", "apply"):
        given = infrastructure.environment_of(command)
        assert IDENTITY.items() <= given.items()
        assert given["AWS_REGION"] == "us-east-1"
        assert given["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
        assert "AWS_PROFILE" not in given


async def test_what_terraform_starts_has_it_too(infrastructure):
    infrastructure.assumes()
    await infrastructure.apply(await infrastructure.plan("1.0.0"))
    seen = (infrastructure.directory / "seen").read_text()
    assert f"AWS_SESSION_TOKEN={TOKEN}" in seen


async def test_it_stands_nowhere_but_in_the_environment(infrastructure):
    infrastructure.assumes()
    plan = await infrastructure.plan("1.0.0")
    (file,) = infrastructure.store.iterdir()
    with zipfile.ZipFile(file) as parts:
        kept = b"".join(parts.read(name) for name in parts.namelist())
    applied = await infrastructure.apply(plan)
    state = (infrastructure.directory / "terraform.tfstate").read_text()
    arguments = (infrastructure.recorded / "arguments").read_text()
    text = f"{plan.model_dump_json()} {applied.model_dump_json()} {infrastructure.heartbeats}"
    assert "apply" in arguments
    assert "terraform_data.service" in text
    for secret in IDENTITY.values():
        assert secret not in arguments + state + text
        assert secret.encode() not in kept
    assert list(infrastructure.store.iterdir()) == []


async def test_validate_has_it_too(infrastructure, monkeypatch):
    infrastructure.assumes()
    monkeypatch.setenv("PATH", f"{infrastructure.recorded.parent}{os.pathsep}{os.environ['PATH']}")
    infrastructure.terraform("init")
    text = await validate(
        infrastructure.target.terraform,
        lambda: infrastructure.clients.environment(infrastructure.target.account),
    )
    assert text.endswith("is valid")
    assert IDENTITY.items() <= infrastructure.environment_of("validate").items()


async def test_an_apply_starts_with_a_session_that_has_only_started(infrastructure):
    for _ in ("plan", "show"):
        infrastructure.assumes(lasts=timedelta(minutes=13))  # of which a minute is gone
    plan = await infrastructure.plan("1.0.0")
    infrastructure.assumes()
    await infrastructure.apply(plan)


async def test_an_apply_without_a_session_is_not_started_and_the_next_attempt_is_as_good_as_the_first(
    infrastructure,
):
    infrastructure.assumes()
    plan = await infrastructure.plan("1.0.0")
    infrastructure.clients._role(infrastructure.target.account)[0]._held = None
    infrastructure.sts.add_client_error("assume_role", "InternalFailure", http_status_code=500)
    with pytest.raises(UnreachableError, match=f"could not assume the role {ARN}") as raised:
        await infrastructure.apply(plan, scheduled_time=datetime.now(UTC))
    assert raised.value.retryable
    assert raised.value.certainly_not_made
    assert infrastructure.heartbeats[-1] == (NOT_STARTED, 1)
    infrastructure.assumes()
    await infrastructure.apply(plan, attempt=2, heartbeat_details=[NOT_STARTED, 1])
    assert (infrastructure.directory / "seen").exists()


async def test_without_a_role_terraform_has_the_workers_environment(infrastructure):
    infrastructure.target = infrastructure.target.model_copy(update={"assume_role": None})
    await infrastructure.plan("1.0.0")
    given = infrastructure.environment_of("plan")
    assert given["AWS_ACCESS_KEY_ID"] == "worker"
    assert given["AWS_SHARED_CREDENTIALS_FILE"] == "/of/the/worker"
    assert given["AWS_REGION"] == "eu-north-1"
