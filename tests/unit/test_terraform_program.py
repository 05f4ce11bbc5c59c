"""What a module is run by, what of the worker's environment it gets, and how far it is."""

from __future__ import annotations

import json

import pytest

from activities.terraform.program import Said, environment_for, find_program
from runbook_model.catalog.service_policies import Terraform
from runbook_model.errors import InputError

OURS = {
    "PATH": "/bin",
    "HOME": "/home/worker",
    "AWS_PROFILE": "prod",
    "https_proxy": "http://proxy",
    "TF_VAR_region": "x",
    "GITHUB_TOKEN": "t",
    "SLACK_TOKEN": "s",
    "RUNBOOK_CODEC_KEYS": "k",
    "TEMPORAL_API_KEY": "a",
    "TF_LOG": "TRACE",
    "TF_WORKSPACE": "staging",
}


def given(**keys) -> dict[str, str]:
    return environment_for(Terraform(directory="/infra", **keys), OURS)


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
    def test_has_all_of_the_workers_but_the_products_own(self):
        assert given().items() >= {"GITHUB_TOKEN": "t", "SLACK_TOKEN": "s", "TF_VAR_region": "x"}.items()
        assert not {"RUNBOOK_CODEC_KEYS", "TEMPORAL_API_KEY", "TF_LOG"} & set(given())

    def test_has_only_what_every_program_needs_and_what_is_passed_where_the_catalog_says_what(self):
        got = given(pass_env=("GITHUB_TOKEN",))
        assert "SLACK_TOKEN" not in got
        kept = ("PATH", "HOME", "AWS_PROFILE", "https_proxy", "TF_VAR_region", "GITHUB_TOKEN")
        assert {name: got[name] for name in kept} == {name: OURS[name] for name in kept}

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
