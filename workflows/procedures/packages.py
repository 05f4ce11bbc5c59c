"""The procedures that installed packages bring, loaded: what can be used, and what cannot, with the reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint

from runbook_model.catalog.policies import AlertRule
from runbook_model.errors import InputError
from runbook_model.names.procedures import PROCEDURES, KnownProcedures, installed, source_of
from workflows.procedures.checking import problems
from workflows.procedures.procedure import Procedure


class UnusableError(Exception):
    """A package's procedure cannot be used; the message says why."""


@dataclass(frozen=True)
class OwnProcedures:
    """What packages bring."""

    loaded: dict[str, Procedure] = field(default_factory=dict)
    known: KnownProcedures = field(default_factory=KnownProcedures)
    versions: tuple[str, ...] = ()
    """Each package with its version, those that are broken too."""

    @property
    def changes(self) -> dict[str, str]:
        """Which activities of theirs change something: activity -> the call that it makes."""
        return {name: call for procedure in self.loaded.values() for name, call in procedure.changes.items()}

    @property
    def alerts(self) -> tuple[AlertRule, ...]:
        """Their rows of the alert matrix."""
        return tuple(row for procedure in self.loaded.values() for row in procedure.alerts)

    def reject(self, name: str, why: str) -> None:
        """Serve a procedure no more: the others continue."""
        self.loaded.pop(name, None)
        self.known.broken[name] = f"{self.known.own.pop(name, name)}: {why}"

    def build_id(self, build_id: str | None) -> str | None:
        """Add each package's version to a worker's build id: another version of one is another build."""
        return build_id and "+".join((build_id, *self.versions))


def load_own() -> OwnProcedures:
    """Load what packages bring; one that cannot be used is known as broken, and the others continue.

    Raises:
        InputError: two packages bring a procedure of the same name.
    """
    entries = installed()
    _refuse_twins(entries)
    versions = {source_of(entry).replace(" ", "-") for entry in entries}
    own = OwnProcedures(versions=tuple(sorted(versions)))
    for entry in entries:
        own.known.own[entry.name] = source_of(entry)
        try:
            own.loaded[entry.name] = load_one(entry)
        except UnusableError as error:
            own.reject(entry.name, str(error))
    return own


def load_one(entry: EntryPoint) -> Procedure:
    """Load a procedure and check that a worker can serve it.

    Raises:
        UnusableError: it cannot.
    """
    try:
        found = entry.load()
    except Exception as error:
        raise UnusableError(f"{entry.value} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(found, Procedure):
        raise UnusableError(f"{entry.value} is no Procedure of workflows.procedures")
    if found.name != entry.name:
        raise UnusableError(f'{entry.value} is called "{found.name}", and its entry point "{entry.name}"')
    if problem := next(problems(found), None):
        raise UnusableError(problem)
    return found


def _refuse_twins(entries: tuple[EntryPoint, ...]) -> None:
    counts = Counter([*PROCEDURES, *(entry.name for entry in entries)])
    for name in (name for name, count in counts.items() if count > 1):
        sources = ["incident-runbooks itself"] if name in PROCEDURES else []
        sources += [source_of(entry) for entry in entries if entry.name == name]
        raise InputError(
            f'the procedure "{name}" is registered by {" and by ".join(sources)}',
            fix="uninstall all of them but one, or give it another name",
        )
