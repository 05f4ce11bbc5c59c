"""The program ``terraform`` in one module: run by argv, followed line by line, interrupted but never killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from activities.runtime.fence import attribution
from activities.runtime.processes import our_aws_files, program_environment, start_child
from activities.terraform.state import Lock, read_lock, state_of
from runbook_model.catalog.service_policies import Terraform
from runbook_model.errors import InputError, RunbookError, StalePlanError, TerraformError
from runbook_model.text.redaction import excerpt
from runbook_model.text.sentences import quote

PROGRAMS = ("terraform", "tofu")

TOFU_REGISTRY = "registry.opentofu.org/"

KEPT_BACK = ("TF_LOG", "RUNBOOK_", "TEMPORAL_")
"""Variables that no module gets, whatever ``pass_env`` names: the product's own, its keys and tokens among them."""

ITS_OWN = ("AWS_", "TF_")
"""What variables start with that are for Terraform and its provider."""

LOOKED_AT_EVERY = 0.1
"""Seconds between looks at what a running Terraform says."""

LINES_KEPT = 20

LONGEST_LINE = 300

LONGEST_PROBLEM = 1000

PROVISIONER_SAYS = "provision_progress"
"""The type of a line that holds the output of a provisioner: whatever the module's own programs print."""

PROVISIONER_FAILED = "provisioner error"

STALE = ("saved plan is stale", "saved plan does not match")

ASKED_WRONGLY = (
    "value for undeclared variable",
    "no value for required variable",
    "no configuration files",
    "invalid value for variable",
    "invalid value for input variable",
)


@dataclass
class Said:
    """How a run of Terraform went; its words are redacted."""

    code: int = 0
    lines: list[str] = field(default_factory=list)
    """The newest of its lines."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Errors: summary and detail, as Terraform said them."""
    under_way: dict[str, str] = field(default_factory=dict)
    """What was last said of each resource that is being changed, by address: many are changed at a time."""

    def take(self, line: str) -> None:
        """Take in one line, JSON or not."""
        try:
            wording: dict[str, Any] = json.loads(line)
            message = str(wording["@message"])
        except (ValueError, KeyError, TypeError):
            wording, message = {}, line
        found = wording.get("diagnostic", {})
        if found.get("severity") == "error":
            self.problems.append(_without_output(str(found.get("summary", "")), str(found.get("detail", ""))))
        elif wording.get("type") != PROVISIONER_SAYS and (words := excerpt(message, LONGEST_LINE)):
            self.lines = [*self.lines, words][-LINES_KEPT:]
            self._follow(str(wording.get("type")), wording.get("hook", {}), words)

    def _follow(self, kind: str, hook: dict[str, Any], words: str) -> None:
        """Note which resources are being changed; Terraform repeats this only every ten seconds."""
        address = hook.get("resource", {}).get("addr", "")
        if kind in {"apply_start", "apply_progress"}:
            self.under_way[address] = words
        elif kind in {"apply_complete", "apply_errored"}:
            self.under_way.pop(address, None)

    @property
    def progress(self) -> str:
        """What is being changed now, else the last line."""
        return excerpt("; ".join(self.under_way.values()), LONGEST_LINE) or next(reversed(self.lines), "")

    @property
    def lock(self) -> Lock | None:
        """Whose lock kept it from its work."""
        found = (
            read_lock(detail) for summary, detail in self.problems if "acquiring the state lock" in summary
        )
        return next(found, None)

    @property
    def wants_init(self) -> bool:
        """Whether the module was not initialised, or not for what it needs now."""
        return any(
            f"{program} init" in f"{summary} {detail}"
            for summary, detail in self.problems
            for program in PROGRAMS
        )

    @property
    def summary(self) -> str:
        """The errors as text, else the last lines."""
        words = "; ".join(f"{summary}: {detail}" if detail else summary for summary, detail in self.problems)
        return quote(words or " ".join(self.lines[-3:]) or f"exit code {self.code}", LONGEST_PROBLEM)

    def error(self, doing: str) -> RunbookError:
        """Return the error that this is, for a run that changed nothing."""
        summaries = " ".join(summary for summary, _ in self.problems).lower()
        wording = f"Terraform could not {doing}: {self.summary}"
        if any(words in summaries for words in STALE):
            return StalePlanError(f"the plan that was approved is stale: {self.summary}")
        if any(words in summaries for words in ASKED_WRONGLY):
            return InputError(wording)
        return TerraformError(wording)


def _without_output(summary: str, detail: str) -> tuple[str, str]:
    """Leave out of a provisioner's error the command and its output: both may hold anything."""
    if PROVISIONER_FAILED not in summary:
        return summary, detail
    status = re.search(r"exit(?:ed with)? status \d+", detail)
    return summary, status[0] if status else "its output is in Terraform's own log only"


def find_program(owner: Terraform) -> str:
    """Find what a module is run by: what the catalog names, else what its lock file was written by, else what is there.

    Raises:
        InputError: it is not installed.
    """
    wanted = (owner.program,) if owner.program else _by_lock_file(Path(owner.directory).expanduser())
    found = next(filter(None, map(shutil.which, wanted)), None)
    if found is None:
        fix = f"put {owner.program or 'terraform or tofu'} on its PATH"
        raise InputError(f"{wanted[0]} is not installed on this worker", fix=fix)
    return found


def _by_lock_file(directory: Path) -> tuple[str, ...]:
    """Order the programs by whose registry the module's providers came from."""
    try:
        locked = (directory / ".terraform.lock.hcl").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return PROGRAMS
    return PROGRAMS[::-1] if TOFU_REGISTRY in locked else PROGRAMS


class Module:
    """One module's directory, and the program that works in it."""

    def __init__(
        self, owner: Terraform, environment: Callable[[], Mapping[str, str]], program: str | None = None
    ) -> None:
        """Enter a module.

        Args:
            owner: what the catalog says of it.
            environment: makes the program's environment, again for each run: credentials in it do not last.
            program: Terraform, or OpenTofu; found by default.

        Raises:
            InputError: there is no such directory, or the program is not installed.
        """
        self._owner = owner
        self._environment = environment
        self._directory = Path(owner.directory).expanduser()
        if not self._directory.is_dir():
            raise InputError(
                f"{owner.directory} is no directory on this worker", fix="correct terraform.directory"
            )
        self.program = program or find_program(owner)

    async def state(self) -> str:
        """Name the state that it works on, once it is initialised."""
        environment = environment_for(
            self._owner, os.environ, self._directory
        )  # nobody is asked, nothing is run
        return await asyncio.to_thread(state_of, self._directory, environment)

    async def run(
        self, *arguments: str, workplace: Path, hear: Callable[[str], None] | None = None
    ) -> tuple[Said, Path]:
        """Run one command to its end, and return what it said and the file with all of its output.

        It writes to files, not to us: when we die it is interrupted, and a broken pipe would kill it before it has
        written its state and given the lock back.

        Raises:
            CancelledError: we were cancelled, so that it was interrupted, and it ended without having succeeded.
            InputError, OutsideError: there are no credentials for it, and it was not started.
        """
        environment = environment_for(self._owner, await asyncio.to_thread(self._environment), workplace)
        output, complaints = workplace / f"{arguments[0]}.out", workplace / f"{arguments[0]}.err"
        with output.open("wb") as sink, complaints.open("wb") as errors:
            # Our own thread is the event loop's: it lives as long as we do, which is what the kernel watches.
            child = start_child(
                [self.program, *arguments],
                environment=environment,
                stdout=sink,
                stderr=errors,
                dies_with_us_by=signal.SIGINT,
                directory=self._directory,
            )
        said = Said()
        cancelled = await _until_ended(child, _Tail(output, said, hear))
        said.code = child.returncode
        if said.code and not said.problems:
            for line in complaints.read_text(encoding="utf-8", errors="replace").splitlines():
                said.take(line)
        if cancelled and said.code:
            raise asyncio.CancelledError
        return said, output


class _Tail:
    """Hears what is written to a file, line by line."""

    def __init__(self, path: Path, said: Said, hear: Callable[[str], None] | None) -> None:
        self._path, self._said, self._on_line = path, said, hear
        self._read_up_to = 0

    def listen(self) -> None:
        if self._on_line is None:  # one document, not lines
            return
        for line in self._new_lines():
            self._said.take(line)
            if progress := self._said.progress:
                self._on_line(progress)

    def _new_lines(self) -> Iterator[str]:
        with self._path.open("rb") as source:
            source.seek(self._read_up_to)
            text = source.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read_up_to += len(whole)
        yield from whole.decode(errors="replace").splitlines()


async def _until_ended(child: subprocess.Popen[bytes], tail: _Tail) -> bool:
    """Wait for the end; a cancellation interrupts the child once and waits on. Returns whether one came."""
    cancelled = False
    while child.poll() is None:
        try:
            await asyncio.sleep(LOOKED_AT_EVERY)
        except asyncio.CancelledError:
            if not cancelled:  # a second interrupt would make Terraform drop its work without saving
                child.send_signal(signal.SIGINT)
            cancelled = True
        tail.listen()
    tail.listen()
    return cancelled


def environment_for(owner: Terraform, ours: Mapping[str, str], home: Path) -> dict[str, str]:
    """Make the program's environment: AWS's and Terraform's own variables, what the catalog adds, and no other.

    Args:
        owner: what the catalog says of the module.
        ours: the worker's, with the credentials of the environment's role.
        home: its home folder, for this run alone.
    """

    def passed(name: str) -> bool:
        return not name.startswith(KEPT_BACK) and (name in (owner.pass_env or ()) or name.startswith(ITS_OWN))

    environment = program_environment(ours, home, passed=passed, ssh_key_file=owner.ssh_key_file)
    environment |= our_aws_files(ours) | {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    if who := attribution():
        environment["TF_APPEND_USER_AGENT"] = who
    if owner.cli_config:
        environment["TF_CLI_CONFIG_FILE"] = str(Path(owner.cli_config).expanduser())
    if owner.workspace:
        environment["TF_WORKSPACE"] = owner.workspace
    return environment
