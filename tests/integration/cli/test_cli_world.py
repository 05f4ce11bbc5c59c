"""``runbook up`` and ``runbook demo``: a sandbox of its own, from the first address to the last process."""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from temporalio.client import Client

from tests.integration.cli.command_line import CommandLine
from tests.patience import PATIENCE

one_life = pytest.mark.xdist_group("up")
KEYS = {"temporal", "ui", "aws", "service", "prometheus", "catalog", "env"}


async def begin(*words):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "starter", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def running(*options):
    up = await begin("up", "--json", *options)
    line = await asyncio.wait_for(up.stdout.readline(), PATIENCE)
    assert line, (await up.stderr.read()).decode()
    up.world = json.loads(line)
    try:
        yield up
    finally:
        if up.returncode is None:
            up.send_signal(signal.SIGTERM)
            await up.communicate()


@pytest.fixture(scope="module")
async def up():
    """The world of ``runbook up``, on which the tests of its group are played in their order, to its end."""
    async with running("--encrypted", "--signed") as up:
        yield up


@one_life
async def test_up_prints_its_addresses(up):
    world = up.world
    assert set(world) == KEYS | {"codec"}
    assert set(world["service"]) == {"staging", "prod"}
    assert (
        world["env"].items()
        >= {
            "TEMPORAL_ADDRESS": world["temporal"],
            "AWS_REGION": "us-east-1",
            "RUNBOOK_UI": world["ui"],
        }.items()
    )


@one_life
async def test_on_a_fresh_world_doctor_finds_nothing_that_is_not_in_place(up):
    doctor = CommandLine(up.world["temporal"], "local")
    for _ in range(3):  # a machine that others use too answers some questions later than doctor waits
        text = await doctor("doctor", "--json", **up.world["env"])
        if text.code == 0:
            break
    checks = text.json["checks"]
    assert [check for check in checks if check["ok"] is False] == []
    assert text.code == 0
    local = {check["name"]: check for check in checks if check["environment"] == "local"}
    assert all(local[name]["ok"] for name in ("docker-engine", "service", "health", "database"))


@one_life
async def test_where_decisions_are_signed_the_brake_is_let_go_only_by_a_signature(up):
    runbook, env = CommandLine(up.world["temporal"], "prod"), up.world["env"]
    key = str(Path(env["RUNBOOK_SIGNERS"]).with_name("bob"))
    off = ("brake", "off", "prod", "--reason", "done", "--as", "bob")
    assert (await runbook("brake", "on", "prod", "--reason", "migration", "--as", "alice", **env)).code == 0
    unsigned = await runbook(*off, **env)
    assert (unsigned.code, "decisions are signed here, and this one is not; sign it" in unsigned.err) == (
        5,
        True,
    )
    foreign = await runbook(*off, "--sign", key.replace("bob", "carol"), **env)
    assert (foreign.code, "is not bob's; sign with your own key" in foreign.err) == (5, True)
    signed = await runbook(*off, "--json", **env, RUNBOOK_SIGNING_KEY=key)
    assert (signed.code, signed.json[0]["confirmed"]) == (0, True)


@one_life
async def test_a_worker_that_is_killed_leaves_the_world_standing(up):
    os.kill(_child(up.pid, "worker"), signal.SIGKILL)
    text = (await asyncio.wait_for(up.stderr.readline(), PATIENCE)).decode()
    assert "the worker ended unexpectedly (exit code -9)" in text
    await Client.connect(up.world["temporal"])
    assert up.returncode is None


@one_life
async def test_watch_lives_through_a_restart_of_temporal(up):
    """The worker is gone."""
    world = up.world
    client = await Client.connect(world["temporal"])
    runbook = CommandLine(world["temporal"], "prod", client)
    assert (await runbook.start()).code == 0
    watching = await runbook.begin("watch", runbook.short)
    await _line_with(watching, "no worker answers")
    await asyncio.to_thread(_order, world["aws"], "kill")
    await _line_with(watching, "Temporal does not answer")
    assert (await runbook("show", runbook.short)).code == 4
    await asyncio.to_thread(_order, world["aws"], "start")
    await _line_with(watching, "no worker answers")
    await client.get_workflow_handle(runbook.id).terminate(reason="enough")
    rest, err = await asyncio.wait_for(watching.communicate(), PATIENCE)
    assert (watching.returncode, err) == (1, b"")
    assert b"terminated" in rest


@one_life
async def test_up_leaves_no_process_behind_when_it_is_killed(up):
    world = up.world
    assert await asyncio.to_thread(_answers, f"{world['codec']}/healthz")
    assert world["env"]["RUNBOOK_CODEC_KEYS"].startswith("sandbox ")
    os.kill(up.pid, signal.SIGKILL)
    await up.communicate()
    for address in (world["temporal"], world["codec"].removeprefix("http://")):
        await _refuses(address)


@pytest.mark.rare
async def test_up_ends_all_of_it_on_ctrl_c():
    async with running() as up:
        assert set(up.world) == KEYS
        worker = _child(up.pid, "worker")
        up.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(up.communicate(), PATIENCE)
    assert (up.returncode, out) == (0, b""), err.decode()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    host, _, port = up.world["temporal"].partition(":")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


def _child(parent, module):
    """Find the process that ``python -m <module>`` is, among a process's children."""
    for each in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        argv = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
        if b"-m" in argv and argv[argv.index(b"-m") + 1] == module.encode():
            return int(each)
    raise AssertionError(f"no {module} among the children of {parent}")


async def _refuses(address):
    host, _, port = address.partition(":")
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.1)


async def _line_with(process, words):
    async with asyncio.timeout(PATIENCE):
        while line := (await process.stdout.readline()).decode():
            if words in line:
                return
    raise AssertionError(f"it ended without saying: {words}")


def _answers(url):
    with urlopen(url, timeout=30) as answer:
        return answer.status == 200


def _order(aws, action):
    request = Request(f"{aws}/_sandbox/temporal", data=json.dumps({"action": action}).encode())
    with urlopen(request, timeout=30) as answer:
        assert answer.status == 200
