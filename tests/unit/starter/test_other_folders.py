"""The product started in a folder whose names are like its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

OURS = ("runbook_model", "workflows", "activities", "starter", "sandbox")
RUNBOOK = Path(sys.executable).with_name("runbook")
CATALOG = """
[environments.prod]
cluster = "shop"
[services.shop.prod]
ecs_service = "shop"
url = "http://127.0.0.1:1"
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with packages and modules that cannot be imported, named as ours are."""
    for name in OURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not the product')\n")
    for name in ("worker", "model"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not the product')\n")
    (tmp_path / "catalog.toml").write_text(CATALOG)
    return tmp_path


def run(folder, *argv):
    return subprocess.run(
        argv, cwd=folder, env=os.environ | {"RUNBOOK_CATALOG": "catalog.toml"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_worker_is_ours_and_not_the_folders(folder):
    ended = run(folder, RUNBOOK, "worker", "--environment", "staging")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert 'no environment "staging" in the catalog' in ended.stderr


def test_the_sandbox_is_ours_and_not_the_folders(folder):
    ended = run(folder, sys.executable, "-P", "-m", "sandbox", "programs")
    assert ended.returncode == 0, ended.stderr
    assert "not the product" not in ended.stderr


def test_without_that_flag_it_would_be_the_folders(folder):
    ended = run(folder, sys.executable, "-m", "worker", "--environment", "staging")
    assert "not the product" in ended.stderr
