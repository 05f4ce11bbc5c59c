"""What is changed in PostgreSQL by statements of the product, read from the servers' own logs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sandbox.call_log import Entry

LINE_PREFIX = "%m|%a|"
"""``log_line_prefix`` of the servers: when, and the name of the application."""
LOGGED = "-c%20log_statement%3Dall"
"""Option of a DSN: the statements of its sessions are logged."""
_START = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \w+\|(?P<application>[^|]*)\|(?P<kind>\w+): +", re.MULTILINE)
_NAME = re.compile(r"incident-runbooks(?:/(?P<run>[^/]+)/(?P<activity>[^/]+)/(?P<attempt>\d+))?")
_STATEMENT = re.compile(r"(?:statement|execute [^:]+):\s+(?P<statement>.*)", re.DOTALL)
_GIVEN = re.compile(r"\$\d+ = ('(?:[^']|'')*'|NULL)")
_CHANGES = re.compile(r"\b(pg_terminate_backend|pg_cancel_backend)\b")
_WORD = re.compile(r"\s*(\w+)")
_READS = frozenset({"SELECT", "SHOW", "BEGIN", "COMMIT", "ROLLBACK", "SET", "WITH"})


class PostgresLog:
    """Follows one server's log."""

    def __init__(self, environment: str, file: Path) -> None:
        self._environment = environment
        self._file = file
        self._read_to = 0

    def new(self) -> Iterable[Entry]:
        """Return the changes that were written since the last look; a line that is not whole yet waits."""
        try:
            with self._file.open("rb") as log:
                log.seek(self._read_to)
                text = log.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read_to += len(whole)
        return changes_in(whole.decode(errors="replace"), self._environment)


def changes_in(text: str, environment: str) -> list[Entry]:
    """Return the statements of the product that change something, as a piece of a log has them."""
    found: list[Entry] = []
    given: list[str] | None = None
    starts = list(_START.finditer(text))
    ends = [*(start.start() for start in starts[1:]), len(text)]
    for start, end in zip(starts, ends, strict=False):  # a piece may have no start at all
        name = _NAME.fullmatch(start["application"])
        if name is None:
            continue
        said = text[start.end() : end]
        if start["kind"] == "DETAIL" and given is not None:
            given += [item.strip("'") for item in _GIVEN.findall(said)]
        logged = _STATEMENT.match(said) if start["kind"] == "LOG" else None
        action, given = _action(logged["statement"]) if logged else None, None
        if action:
            given = []
            caller = name.groupdict() if name["run"] else None
            parameters = {"environment": environment, "given": given}
            found.append(Entry("postgresql", "postgresql", action, parameters, caller))
    return found


def _action(statement: str) -> str | None:
    """Name what a statement changes; None where it only reads."""
    if call := _CHANGES.search(statement):
        return call[1]
    first = _WORD.match(statement)
    return first[1].upper() if first and first[1].upper() not in _READS else None
