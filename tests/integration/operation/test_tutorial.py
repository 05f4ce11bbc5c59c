"""Pages that are typed do what they say: their commands go into one shell, in their order, against a sandbox of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.machine.processes import free_port
from tests.patience import PATIENCE
from tests.sandbox_under_test import running_sandbox

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("tutorial")]
ROOT = Path(__file__).parents[3]
TUTORIAL, REAL = ((ROOT / "docs" / name).read_text() for name in ("tutorial.md", "your-real-service.md"))
MARKED = re.compile(r"^<!-- run(?P<wish>[^\n]*) -->\n```bash\n(?P<typed>.*?)^```$", re.MULTILINE | re.DOTALL)
WISH = re.compile(r"(?P<again>, again until)?:? exit (?P<code>\d)(, says \"(?P<says>[^\"]+)\")?")
SEEN = "@@ seen"


@dataclass(frozen=True)
class Step:
    """A fenced block that is typed, and what the page promises of it."""

    typed: str
    code: int
    says: str
    again: bool

    def kept(self, code, said):
        return code == self.code and self.says in said


def steps(page):
    for block in MARKED.finditer(page):
        wish = WISH.fullmatch(block["wish"])
        assert wish, f"what is wished cannot be read: {block['wish']}"
        yield Step(block["typed"], int(wish["code"]), wish["says"] or "", bool(wish["again"]))


class Shell:
    """One bash, as a person's terminal: what is exported and started stays."""

    def __init__(self, folder, environment):
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def type(self, text):
        """Type a block; returns the exit code of its last command, and what it printed."""
        # What is typed reads nothing: the shell's own stdin are the commands.
        self.process.stdin.write(f'{{ {text}\n}} < /dev/null\necho "{SEEN} $?"\n')
        self.process.stdin.flush()
        said = []
        for line in self.process.stdout:
            if line.startswith(SEEN):
                return int(line.removeprefix(SEEN)), "".join(said)
            said.append(line)
        raise AssertionError(f"the shell ended: {''.join(said)}")

    def end(self):
        """End the shell and the worker that was started in it."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=PATIENCE)


@pytest.fixture
def shell(tmp_path):
    with running_sandbox() as sandbox:
        addresses = sandbox.addresses
        mine = {key: value for key, value in os.environ.items() if not key.startswith(("RUNBOOK", "OTEL"))}
        shell = Shell(
            tmp_path,
            mine
            | addresses.env
            | {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "SERVICE_URL": addresses.service["prod"],
                "PROMETHEUS_URL": addresses.prometheus or "",
            },
        )
        yield shell
        shell.end()


def type_all(page, shell):
    """Type every block of a page; returns what the last one printed."""
    said = ""
    for step in steps(page):
        give_up_at = time.monotonic() + PATIENCE
        code, said = shell.type(step.typed)
        while step.again and not step.kept(code, said) and time.monotonic() < give_up_at:
            code, said = shell.type(step.typed)
        assert step.kept(code, said), f"{step.typed}\nexit {code}\n{said}"
    return said


@pytest.mark.parametrize(
    ("page", "at_least", "left_out"),
    [
        pytest.param(TUTORIAL, 12, ["runbook up --no-worker", "export SERVICE_URL"], id="tutorial"),
        pytest.param(REAL, 4, ["export AWS_PROFILE"], id="your-real-service"),
    ],
)
def test_every_block_that_could_be_typed_is_but_for_what_starts_the_world(page, at_least, left_out):
    blocks = list(re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    typed = [step.typed for step in steps(page)]
    assert len(typed) >= at_least
    rest = [block for block in blocks if block not in typed]
    assert [block.split("=")[0].split("\n")[0] for block in rest] == left_out


def test_the_commands_of_the_tutorial_do_what_it_says(shell, tmp_path):
    type_all(TUTORIAL, shell)
    review = (tmp_path / "review.md").read_text()
    assert "# Post-incident review: ai-processor in prod" in review
    assert "seen the graphs" in review


@pytest.fixture
def own_shell(shell, tmp_path):
    """A shell of somebody without a Temporal, whose usual ports may be taken."""
    port, listen = free_port(), free_port()
    serve = f"command runbook serve --port {port} --listen 127.0.0.1:{listen}"
    shell.type(f'runbook() {{ if [ "$1" = serve ]; then {serve}; else command runbook "$@"; fi; }}')
    shell.type(f"export HOME={tmp_path} TEMPORAL_ADDRESS=127.0.0.1:{port} RUNBOOK_CATALOG=catalog.toml")
    shell.type("unset RUNBOOK_REVIEWS")
    return shell


def test_four_commands_lead_from_an_account_to_a_drill_without_an_edit(own_shell, tmp_path):
    drill = type_all(REAL, own_shell)
    assert "✘" not in drill
    for place in ("prod\tai-processor\tservice-down-plan\t✔", "staging\tai-processor\thigh-latency-plan\t✔"):
        assert place in drill
    found = (tmp_path / "catalog.toml").read_text()
    for name in ("prod", "staging"):
        assert f"\n[services.ai-processor.{name}]" in found


def test_the_readme_has_the_four_commands_of_the_page():
    section = (ROOT / "README.md").read_text().partition("## Your real service")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert block.splitlines()[1:] == [step.typed.strip() for step in steps(REAL)]
