"""How procedures end, what they are doing until then, and the exit code of each end."""

from __future__ import annotations

from docs.writing.source import table, words_of_class
from runbook_model.reports import Outcome, State, Verdict
from starter.client.run_view import EXIT_OF_OUTCOME
from starter.exits import Exit

HEAD = """\
# Outcomes and states

Outcomes are in `show --json`, in the search attribute `RunbookOutcome`, and in the metric `runbook_procedures_total`. The
exit code is that of `watch` and of `start --wait`. `not-recovered` and `inconclusive` hand over to a person, with all
that is known; an unknown is never called recovered."""


def page() -> str:
    """Write the page."""
    words = words_of_class(Outcome)
    outcomes = table(
        ("outcome", "exit code", "meaning"),
        ((f"`{item.value}`", _code(item), words[item.name]) for item in Outcome),
    )
    said = words_of_class(State)
    states = table(("state", "meaning"), ((f"`{item.value}`", said.get(item.name, "")) for item in State))
    verdicts = ", ".join(f"`{item.value}`" for item in Verdict)
    return "\n\n".join(
        [
            HEAD,
            outcomes,
            "## States",
            states,
            "## Verdicts",
            f"What readings say after a change, decided by a pure function: {verdicts}.",
        ]
    )


def _code(outcome: Outcome) -> str:
    if outcome is Outcome.REFUSED:
        return f"{Exit.BAD_INPUT.value} for `input`, {Exit.REFUSED.value} for `policy`"
    return str(EXIT_OF_OUTCOME.get(outcome, Exit.NOT_DONE).value)
