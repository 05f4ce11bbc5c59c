"""The tutorial does what it says: its commands are typed into one shell, in their order, against a sandbox of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sandbox_under_test import running_sandbox

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("tutorial")]
PAGE = (Path(__file__).parents[2] / "docs/tutorial.md").read_text()
MARKED = re.compile(r"^<!-- run(?P<wish>[^\n]*) -->\n```bash\n(?P<typed>.*?)^```$", re.MULTILINE | re.DOTALL)
WISH = re.compile(r"(?P<again>, again until)?:? exit (?P<code>\d)(, says \"(?P<says>[^\"]+)\")?")
PATIENCE_SECONDS = 30
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


def steps():
    for block in MARKED.finditer(PAGE):
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
        self.process.wait(timeout=30)


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
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "SERVICE_URL": addresses.service["prod"],
                "PROMETHEUS_URL": addresses.prometheus or "",
            },
        )
        yield shell
        shell.end()


def test_every_block_that_could_be_typed_is_but_for_what_starts_the_world():
    left_out = list(re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    typed = [step.typed for step in steps()]
    assert len(typed) >= 12
    rest = [block for block in left_out if block not in typed]
    assert [block.split("=")[0].split("\n")[0] for block in rest] == [
        "runbook up --no-worker",
        "export SERVICE_URL",
    ]


def test_the_commands_of_the_tutorial_do_what_it_says(shell, tmp_path):
    for step in steps():
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        code, said = shell.type(step.typed)
        while step.again and not step.kept(code, said) and time.monotonic() < give_up_at:
            code, said = shell.type(step.typed)
        assert step.kept(code, said), f"{step.typed}\nexit {code}\n{said}"
    review = (tmp_path / "review.md").read_text()
    assert "# Post-incident review: ai-processor in prod" in review
    assert "seen the graphs" in review
