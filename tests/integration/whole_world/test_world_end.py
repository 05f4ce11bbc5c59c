"""However the sandbox ends, nothing of it is left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.patience import PATIENCE
from tests.sandbox_under_test import running_sandbox, until


def family_of(sandbox):
    process = psutil.Process(sandbox.process.pid)
    children = process.children(recursive=True)
    names = " ".join(" ".join(child.cmdline()) for child in children)
    assert all(part in names for part in ("temporal", "moto.server", "prometheus", "sandbox.demo.service"))
    return children


def all_gone(processes):
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.rare)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_every_process_with_exit_0(number):
    with running_sandbox() as sandbox:
        children = family_of(sandbox)
        assert sandbox.end(number) == 0
        assert all_gone(children)


def test_sigkill_of_the_sandbox_leaves_no_orphan():
    with running_sandbox("--no-load") as sandbox:
        children = family_of(sandbox)
        os.kill(sandbox.process.pid, signal.SIGKILL)
        sandbox.process.wait(timeout=PATIENCE)
        until(lambda: all_gone(children))


@pytest.mark.rare
def test_it_ends_when_its_stdin_closes():
    with running_sandbox("--no-load") as sandbox:
        children = family_of(sandbox)
        sandbox.process.stdin.close()
        assert sandbox.process.wait(timeout=PATIENCE) == 0
        assert all_gone(children)


def test_it_ends_with_its_parent_and_removes_its_own_folder(tmp_path):
    starter = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); p.wait()"
    argv = [sys.executable, "-c", starter, sys.executable, "-m", "sandbox", "up", "--no-prometheus"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        sandbox = psutil.Process(int(parent.stdout.readline()))
        shown = until(lambda: (line := parent.stdout.readline()).startswith("catalog") and line)
        assert Path(shown.split()[1]).is_relative_to(tmp_path)
        parent.kill()
        parent.wait()
        until(lambda: all_gone([sandbox]))
    assert list(tmp_path.iterdir()) == []


def test_a_signal_during_the_boot_ends_it_too(tmp_path):
    argv = [sys.executable, "-m", "sandbox", "up", "--folder", str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as process:
        sandbox = psutil.Process(process.pid)
        children = until(lambda: sandbox.children(recursive=True), every=0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
        assert all_gone(children)


@pytest.mark.rare
def test_it_says_so_and_ends_when_a_part_of_it_dies():
    with running_sandbox("--no-load") as sandbox:
        children = family_of(sandbox)
        moto = next(child for child in children if "moto.server" in child.cmdline())
        moto.kill()
        assert sandbox.process.wait(timeout=PATIENCE) == 1
        assert all_gone(children)
        said = (Path(sandbox.addresses.folder) / "stderr.log").read_text()
        assert "moto ended with exit code -9" in said
