"""What a shell completes, while Temporal is away: the script asks the command itself."""

import os
import subprocess
import sys

import pytest

CATALOG = """
procedures = ["purge-cache"]
[environments.prod]
cluster = "ai-processor-prod"
[environments.staging]
cluster = "ai-processor-staging"
[services.ai-processor.prod]
ecs_service = "ai-processor-service-prod"
"""


@pytest.fixture
def complete(tmp_path):
    (tmp_path / "catalog.toml").write_text(CATALOG)

    def ask(line, **settings):
        environment = {
            "RUNBOOK_CATALOG": str(tmp_path / "catalog.toml"),
            "TEMPORAL_ADDRESS": "127.0.0.1:1",
            "_RUNBOOK_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }
        ended = subprocess.run(
            [sys.executable, "-m", "starter"],
            env=os.environ | environment | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        return [found.partition(",")[2] for found in ended.stdout.split()]

    return ask


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("runbook re", ["resume", "review", "release"]),
        ("runbook start ro", ["rollback"]),
        ("runbook start pu", ["purge-cache"]),
        ("runbook start rollback p", ["prod/ai-processor"]),
        ("runbook show ", ["prod/ai-processor"]),
        ("runbook brake on ", ["prod", "prod/ai-processor", "staging"]),
        ("runbook list st", ["staging"]),
        ("runbook list --service ", ["ai-processor"]),
        ("runbook approve prod/ai-processor --pl", ["--plan-hash"]),
        ("runbook demo bad-release-", ["bad-release-terraform"]),
        ("runbook completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_names_are_completed_without_temporal(complete, line, found):
    assert complete(line) == found


@pytest.mark.parametrize(
    "settings",
    [{"RUNBOOK_CATALOG": "/nowhere.toml"}, {"TEMPORAL_ADDRESS": ":::"}, {"RUNBOOK_CODEC_KEYS": "no key"}],
)
def test_settings_that_cannot_be_used_complete_less_and_say_nothing(complete, settings):
    assert set(complete("runbook show ", **settings)) <= {"prod/ai-processor"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks_the_command(shell):
    script = subprocess.run(
        [sys.executable, "-m", "starter", "completion", shell], capture_output=True, text=True, check=True
    )
    assert f"_RUNBOOK_COMPLETE={shell}_complete" in script.stdout
    assert script.stderr == ""
