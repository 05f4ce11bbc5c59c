"""The program ``terraform`` in one module: run by argv, followed line by line, interrupted but never killed; and its lock."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import re
import shutil
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activities.runtime.encryption import KEYS
from activities.runtime.processes import start_child
from runbook_model.errors import InputError, RunbookError, StalePlanError, TerraformError
from runbook_model.redaction import excerpt
from runbook_model.sentences import quote

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping

PROGRAMS = ("terraform", "tofu")

LOOKED_AT_EVERY = 0.1
"""Seconds between looks at what a running Terraform says."""

LINES_KEPT = 20

LONGEST_LINE = 300

LONGEST_PROBLEM = 1000

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

    def take(self, line: str) -> None:
        """Take in one line, JSON or not."""
        try:
            told: dict[str, Any] = json.loads(line)
            message = str(told["@message"])
        except (ValueError, KeyError, TypeError):
            told, message = {}, line
        found = told.get("diagnostic", {})
        if found.get("severity") == "error":
            self.problems.append((str(found.get("summary", "")), str(found.get("detail", ""))))
        elif words := excerpt(message, LONGEST_LINE):
            self.lines = [*self.lines, words][-LINES_KEPT:]

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
    def told(self) -> str:
        """The errors in words, else the last lines."""
        words = "; ".join(f"{summary}: {detail}" if detail else summary for summary, detail in self.problems)
        return quote(words or " ".join(self.lines[-3:]) or f"exit code {self.code}", LONGEST_PROBLEM)

    def error(self, doing: str) -> RunbookError:
        """Return the error that this is, for a run that changed nothing."""
        summaries = " ".join(summary for summary, _ in self.problems).lower()
        told = f"Terraform could not {doing}: {self.told}"
        if any(words in summaries for words in STALE):
            return StalePlanError(f"the plan that was approved is stale: {self.told}")
        if any(words in summaries for words in ASKED_WRONGLY):
            return InputError(told)
        return TerraformError(told)


def find_program() -> str:
    """Find Terraform, or OpenTofu.

    Raises:
        InputError: neither is installed.
    """
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise InputError("terraform is not installed on this worker", fix="put terraform or tofu on its PATH")
    return found


class Module:
    """One module's directory, and the program that works in it."""

    def __init__(self, program: str, directory: str, environment: Callable[[], Mapping[str, str]]) -> None:
        """Enter a module.

        Args:
            program: Terraform, or OpenTofu.
            directory: of the module.
            environment: makes the program's environment, anew for each run: credentials in it do not last.

        Raises:
            InputError: there is no such directory.
        """
        self._program = program
        self._environment = environment
        self._directory = Path(directory).expanduser()
        if not self._directory.is_dir():
            raise InputError(f"{directory} is no directory on this worker", fix="correct terraform.directory")

    async def run(
        self, *arguments: str, workplace: Path, hear: Callable[[str], None] | None = None
    ) -> tuple[Said, Path]:
        """Run one command to its end, and return what it said and the file with all of its output.

        It writes to files, not to us: when we die it is interrupted, and a broken pipe would kill it before it has
        written its state and given the lock back.

        Raises:
            CancelledError: we were cancelled, so that it was interrupted, and it ended without having succeeded.
            InputError, OutsideError: there are no credentials for it, and it was not begun.
        """
        environment = _quiet(await asyncio.to_thread(self._environment))
        output, complaints = workplace / f"{arguments[0]}.out", workplace / f"{arguments[0]}.err"
        with output.open("wb") as sink, complaints.open("wb") as errors:
            # Our own thread is the event loop's: it lives as long as we do, which is what the kernel watches.
            child = start_child(
                [self._program, *arguments],
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
        self._path, self._said, self._hear = path, said, hear
        self._read_up_to = 0

    def listen(self) -> None:
        if self._hear is None:  # one document, not lines
            return
        for line in self._new_lines():
            self._said.take(line)
            if self._said.lines:
                self._hear(self._said.lines[-1])

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


def _quiet(environment: Mapping[str, str]) -> dict[str, str]:
    quiet = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    kept_back = ("TF_LOG", KEYS)  # providers have no need of the keys of histories
    return {name: value for name, value in environment.items() if not name.startswith(kept_back)} | quiet


FIELD = re.compile(r"^\s*(ID|Who|Operation|Created):\s+(\S.*?)\s*$", re.MULTILINE)

OTHER_HOLDER = re.compile(r"already locked: ID=(\S+)")

RUNNING = frozenset({"terraform", "tofu"})

PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Lock:
    """A lock that somebody holds."""

    id: str
    who: str = ""
    """``user@host``; empty where the backend does not say."""
    operation: str = ""
    created: str = ""

    @property
    def told(self) -> str:
        """Who holds it, in words."""
        doing = f" for {self.operation.removeprefix('OperationType').lower()}" if self.operation else ""
        since = f" since {self.created[:19]} UTC" if self.created else ""
        return f"Terraform's state is locked by {self.who or 'somebody'}{doing}{since} (lock {self.id})"

    @property
    def is_left_behind(self) -> bool:
        """Whether it was taken by our own user on this machine, where no Terraform runs any more.

        Whether a holder elsewhere lives cannot be seen from here.
        """
        ours = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
        return self.who == ours and PROCESSES.is_dir() and not _runs_here()

    def fix(self, directory: str) -> str:
        """Return what a person must do when the holder is gone."""
        return (
            f"look whether that run still lives; only if it is gone: terraform -chdir={directory} "
            f"force-unlock {self.id}"
        )


def read_lock(detail: str) -> Lock:
    """Read the holder from Terraform's error."""
    found: dict[str, str] = dict(FIELD.findall(detail))
    if other := OTHER_HOLDER.search(detail):
        # The HTTP backend names the holder's id and then describes the one who asked.
        return Lock(id=other[1])
    return Lock(
        id=found.get("ID", "unknown"),
        who=found.get("Who", ""),
        operation=found.get("Operation", ""),
        created=found.get("Created", ""),
    )


def _runs_here() -> bool:
    for process in PROCESSES.glob("[0-9]*/comm"):
        with suppress(OSError):  # it ended meanwhile
            if process.read_text(encoding="ascii", errors="replace").strip() in RUNNING:
                return True
    return False
