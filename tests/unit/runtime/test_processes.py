"""Child processes that never outlive us."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from activities.runtime.processes import kill_child, start_child, stop_child
from tests.patience import PATIENCE

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_a_child_that_listens_ends_by_sigterm():
    child = start_child([sys.executable, "-c", "import time; time.sleep(60)"])
    assert stop_child(child, 10) == -signal.SIGTERM


def test_a_deaf_child_ends_by_sigkill_after_its_grace():
    child = start_child([sys.executable, "-c", DEAF], stdout=subprocess.PIPE)
    with child.stdout as output:
        output.readline()
        assert stop_child(child, 0.2) == -signal.SIGKILL


def test_a_child_that_has_ended_is_ended_already():
    child = start_child([sys.executable, "-c", ""])
    child.wait()
    assert stop_child(child, 1) == 0
    assert kill_child(child) == 0


def test_a_child_dies_with_us():
    grandparent = (
        "import sys; from activities.runtime.processes import start_child;"
        "child = start_child([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(child.pid, flush=True); import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    wording = subprocess.run([sys.executable, "-c", grandparent], capture_output=True, text=True, check=False)
    deadline = time.monotonic() + PATIENCE
    while _runs(int(wording.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid):
    try:
        with Path(f"/proc/{pid}/stat").open(encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
