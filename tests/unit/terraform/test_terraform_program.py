"""What a module is run by, what of the worker's environment it gets, and how far it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from activities.terraform.program import Said, environment_for, find_program
from runbook_model.catalog.service_policies import Terraform
from runbook_model.errors import InputError

OURS = {
    "PATH": "/bin",
    "LC_ALL": "C.UTF-8",
    "SSH_AUTH_SOCK": "/agent",
    "AI_PROCESSOR_DSN": "postgres://app@db/shop",
    "HOME": "/home/worker",
    "AWS_PROFILE": "prod",
    "https_proxy": "http://proxy",
    "TF_VAR_region": "x",
    "GITHUB_TOKEN": "t",
    "SLACK_TOKEN": "slack-token",
    "RUNBOOK_CODEC_KEYS": "codec-key",
    "TEMPORAL_API_KEY": "api-key",
    "TF_LOG": "TRACE",
    "TF_WORKSPACE": "staging",
}


def given(home=Path("/own"), ours=OURS, **keys) -> dict[str, str]:
    return environment_for(Terraform(directory="/infra", **keys), ours, home)


@pytest.fixture
def both(tmp_path, monkeypatch):
    """Both programs on PATH, and a module."""
    for name in ("terraform", "tofu"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    module = tmp_path / "module"
    module.mkdir()
    return module


class TestTheProgram:
    @pytest.mark.parametrize("program", ["terraform", "tofu"])
    def test_is_the_one_that_the_catalog_names(self, both, program):
        assert find_program(Terraform(directory=str(both), program=program)).endswith(f"/{program}")

    @pytest.mark.parametrize(
        ("registry", "program"), [("registry.opentofu.org", "tofu"), ("registry.terraform.io", "terraform")]
    )
    def test_is_by_default_the_one_whose_registry_the_lock_file_names(self, both, registry, program):
        (both / ".terraform.lock.hcl").write_text(f'provider "{registry}/hashicorp/aws" {{}}\n')
        assert find_program(Terraform(directory=str(both))).endswith(f"/{program}")

    def test_is_terraform_where_nothing_says_more(self, both):
        assert find_program(Terraform(directory=str(both))).endswith("/terraform")

    def test_that_is_named_and_not_there_is_not_replaced_by_the_other(self, both):
        (both.parent / "tofu").unlink()
        with pytest.raises(InputError, match="tofu is not installed on this worker") as raised:
            find_program(Terraform(directory=str(both), program="tofu"))
        assert raised.value.fix == "put tofu on its PATH"


class TestTheEnvironment:
    def test_has_what_is_for_aws_and_terraform_and_what_every_program_needs_and_nothing_else(self):
        got = given()
        for name in ("PATH", "AWS_PROFILE", "https_proxy", "TF_VAR_region", "LC_ALL"):
            assert got.pop(name) == OURS[name]
        assert got == {
            "HOME": "/own", "TF_WORKSPACE": "staging", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
            "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        }  # fmt: skip

    @pytest.mark.parametrize(
        "secret", ["AI_PROCESSOR_DSN", "SLACK_TOKEN", "TEMPORAL_API_KEY", "RUNBOOK_CODEC_KEYS"]
    )
    def test_has_none_of_the_workers_secrets(self, secret):
        assert secret in OURS
        assert OURS[secret] not in given().values()

    def test_has_what_the_catalog_passes_on_but_never_what_is_the_products_own(self):
        got = given(pass_env=("GITHUB_TOKEN", "TEMPORAL_API_KEY", "RUNBOOK_CODEC_KEYS", "HOME"))
        assert (got["GITHUB_TOKEN"], got["HOME"]) == ("t", "/home/worker")
        assert not {"TEMPORAL_API_KEY", "RUNBOOK_CODEC_KEYS", "SLACK_TOKEN"} & set(got)

    def test_names_the_configuration_and_the_key_that_the_catalog_names(self):
        got = given(cli_config="/etc/tofu.rc", ssh_key_file="/keys/modules of ours")
        assert got["TF_CLI_CONFIG_FILE"] == "/etc/tofu.rc"
        assert got["GIT_SSH_COMMAND"] == (
            "ssh -oBatchMode=yes -oIdentitiesOnly=yes -oIdentityAgent=none -i '/keys/modules of ours'"
        )

    def test_finds_who_we_are_to_aws_although_its_home_is_another(self, tmp_path):
        (tmp_path / ".aws").mkdir()
        (tmp_path / ".aws/credentials").touch()
        (tmp_path / ".aws/config").touch()
        ours = {"HOME": str(tmp_path), "AWS_CONFIG_FILE": "/etc/aws"}
        got = given(ours=ours)
        assert got["AWS_SHARED_CREDENTIALS_FILE"] == str(tmp_path / ".aws/credentials")
        assert got["AWS_CONFIG_FILE"] == "/etc/aws"

    def test_names_the_catalogs_workspace_whatever_the_workers_own_says(self):
        assert given(workspace="prod")["TF_WORKSPACE"] == "prod"


class TestHowFarItIs:
    """In any order of its lines: many resources are changed at a time, and Terraform speaks again only after 10 s."""

    def after(self, *hooks: tuple[str, str, str]) -> str:
        said = Said()
        for kind, address, message in hooks:
            hook = {"resource": {"addr": address}}
            said.take(json.dumps({"@message": f"{address}: {message}", "type": kind, "hook": hook}))
        return said.progress

    def test_names_what_is_being_changed_although_another_resource_spoke_last(self):
        service, family = ("apply_start", "service", "Creating..."), ("apply_start", "family", "Modifying...")
        done = ("apply_complete", "family", "Modifications complete after 0s")
        assert self.after(service, family, done) == "service: Creating..."
        assert self.after(family, done, service) == "service: Creating..."

    def test_names_all_that_is_being_changed(self):
        first, second = ("apply_start", "a", "Creating..."), ("apply_start", "b", "Creating...")
        assert self.after(first, second) == "a: Creating...; b: Creating..."
        waiting = ("apply_progress", "a", "Still creating... [10s elapsed]")
        assert self.after(first, waiting) == "a: Still creating... [10s elapsed]"

    @pytest.mark.parametrize("ending", ["apply_complete", "apply_errored"])
    def test_is_its_last_line_where_nothing_is_being_changed(self, ending):
        assert self.after(("apply_start", "a", "Creating..."), (ending, "a", "over")) == "a: over"
