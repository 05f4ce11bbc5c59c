"""Which procedures the worker serves, and whether it has each that its catalog names."""

from __future__ import annotations

from pathlib import Path

from activities.doctor.looking import NotSetError, Question, Threads, WrongError, questions
from runbook_model.catalog.catalog import load_catalog
from runbook_model.procedures import KnownProcedures


class ProcedureQuestions:
    """The question about procedures that installed packages bring."""

    def __init__(self, catalog: Path, known: KnownProcedures) -> None:
        self._catalog = catalog
        self._known = known

    def all(self, threads: Threads) -> list[Question]:
        """Return it."""
        return questions({"procedures": lambda: threads.run(self.look)})

    def look(self) -> str:
        """Look at the packages, and at what the catalog names."""
        catalog = load_catalog(self._catalog)
        for name in (*self._known.broken, *catalog.procedures, *(row.procedure for row in catalog.alerts)):
            if name not in self._known:
                raise WrongError(*self._known.why_not(name))
        if not self._known.own:
            raise NotSetError("only the product's own: no installed package brings any")
        return "; ".join(f"{name} by {source}" for name, source in sorted(self._known.own.items()))
