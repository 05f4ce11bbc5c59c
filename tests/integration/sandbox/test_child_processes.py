import os
import signal
import socket
import subprocess
import sys
import textwrap

import psutil
import pytest

from sandbox.machine.forking import ForkedProcess, ForkServer
from sandbox.machine.processes import Daemon, DaemonDiedError, free_port
from tests.sandbox_under_test import until


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_free_port_is_kept_for_the_server_that_gets_it():
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    with socket.socket() as chooser, pytest.raises(OSError, match="in use"):
        chooser.bind(("127.0.0.1", ports[0]))
    with socket.create_server(("127.0.0.1", ports[0])) as server:
        assert server.getsockname()[1] == ports[0]


async def test_a_daemon_that_ends_by_itself_is_reported_with_its_last_words(tmp_path):
    daemon = Daemon("talker", [sys.executable, "-c", "print('no such disk'); exit(3)"], tmp_path)
    await daemon.start()
    assert await daemon.wait() == 3
    with pytest.raises(DaemonDiedError, match="talker ended with exit code 3: no such disk"):
        daemon.check_alive()


async def test_a_daemon_that_ignores_sigterm_is_killed(tmp_path):
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    daemon = Daemon("stubborn", [sys.executable, "-c", stubborn], tmp_path)
    await daemon.start()
    pid = daemon.pid
    until(lambda: "up" in daemon.output.read_text())
    await daemon.end(grace_seconds=0.2)
    assert daemon.pid is None
    assert gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child to its parent's life")
def test_a_child_does_not_outlive_a_killed_parent(tmp_path):
    program = textwrap.dedent("""
        import asyncio, sys
        from sandbox.machine.processes import start_child
        async def main():
            child = await start_child([sys.executable, "-c", "import signal; signal.pause()"], output=1)
            sys.stderr.write(f"{child.pid}\\n")
            sys.stderr.flush()
            await child.wait()
        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as parent:
        child = int(parent.stderr.readline())
        assert not gone(child)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    until(lambda: gone(child))


@pytest.fixture
def forks(tmp_path, monkeypatch):
    """Starts a program that shows what it was given, and ends as it is asked."""
    (tmp_path / "shown.py").write_text(
        textwrap.dedent("""
            import os, signal, sys
            def main():
                print(os.environ, sys.argv, os.getpgid(0) == os.getpid(), flush=True)
                print("a complaint", file=sys.stderr, flush=True)
                if sys.argv[-1] == "stay":
                    signal.pause()
                return int(sys.argv[-1])
        """)
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server = ForkServer("shown")
    yield server
    server.end()


async def test_a_fork_has_the_arguments_the_environment_and_the_output_that_it_was_given(forks):
    forked = await ForkedProcess.start(forks, ["it", "3"], {"ONLY": "this"}, errors_apart=True)
    assert await forked.wait() == 3
    shown, complaint = await forked.stdout.read(), await forked.stderr.read()
    assert shown == b"environ({'ONLY': 'this'}) ['it', '3'] True\n"
    assert complaint == b"a complaint\n"


async def test_how_a_fork_was_killed_is_known_and_the_next_one_starts(forks):
    first, second = [await ForkedProcess.start(forks, ["it", "stay"], {}) for _ in range(2)]
    await first.stdout.readline()
    os.killpg(first.pid, signal.SIGKILL)
    assert await first.wait() == -signal.SIGKILL
    assert (second.returncode, gone(second.pid)) == (None, False)


async def test_forks_end_with_the_one_who_wanted_them(forks):
    forked = await ForkedProcess.start(forks, ["it", "stay"], {})
    forks.end()
    until(lambda: gone(forked.pid))
