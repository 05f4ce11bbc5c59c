"""What the product is in Temporal: ids, queues, search attributes, signals, updates and queries."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from temporalio import workflow

from docs.writing.source import first_line, table, words_of_class, words_of_module
from runbook_model.incident.messages import AlertBatch, Closing
from runbook_model.messages import Abort, Approval, Instruction, Note
from runbook_model.names import ids
from worker import WORKFLOWS
from workflows.brake import Switch
from workflows.page.procedure import ProcedureWorkflow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel

HEAD = """\
# In Temporal

What people, tests and other tools may rely on. Signals take any payload, or none: what cannot be used is shown under
`rejected`, and never blocks the run. Updates do the same with a check and an answer; while no worker lives an update
does not arrive, a signal does. `by` is what the client says it is."""

PAYLOADS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("approve, decide", Approval),
    ("abort, abort_run", Abort),
    ("pause, resume, acknowledge", Instruction),
    ("note", Note),
    ("close", Closing),
    ("switch", Switch),
    ("alerts", AlertBatch),
)
EXAMPLES = {
    "environment": "prod",
    "account": "123456789012",
    "region": "us-east-1",
    "cluster": "prod",
    "state": "9b1c…",
    "service": "shop",
    "procedure": "rollback",
    "unique": "4f1c…",
    "workflow_id": "remediation/prod/shop/rollback",
}


def page() -> str:
    """Write the page."""
    return "\n\n".join(
        [
            HEAD,
            "## Workflows",
            table(("type", "does"), ((f"`{item.__name__}`", first_line(item)) for item in WORKFLOWS)),
            "## Ids and queues",
            table(("for `shop` in `prod`", "is"), _ids()),
            "A procedure that another one runs has the id `<parent>/<procedure>`.",
            "## Search attributes",
            "All of them are of the type Keyword. They are not encrypted by anything: nothing secret is in them.",
            table(("name", "meaning"), _search_attributes()),
            *_messages(),
            "## Payloads",
            "Next to these fields, `decision_id` names a decision: the same one twice counts once.",
            table(("of", "field", "", "meaning"), _payloads()),
        ]
    )


def _ids() -> Iterator[tuple[str, str]]:
    for name, function in inspect.getmembers(ids, inspect.isfunction):
        if (
            function.__module__ != ids.__name__
            or name in {"answered_at", "target_of"}
            or name.startswith("is_")
        ):
            continue
        given = {word: EXAMPLES[word] for word in inspect.signature(function).parameters}
        yield f"`{function(**given)}`", first_line(function).removeprefix("Return ")
    yield (
        f"`hold/{EXAMPLES['environment']}/{EXAMPLES['service']}`",
        "the id of what takes temporary capacity back.",
    )


def _search_attributes() -> Iterator[tuple[str, str]]:
    words = words_of_module(ids)
    named = {key.name: name for name, key in vars(ids).items() if key in ids.SEARCH_ATTRIBUTES}
    for key in ids.SEARCH_ATTRIBUTES:
        yield f"`{key.name}`", words[named[key.name]]


def _messages() -> Iterator[str]:
    procedures = [item for item in WORKFLOWS if issubclass(item, ProcedureWorkflow)]
    same = set(_handlers(procedures[0]))
    yield f"## Every procedure: {', '.join(f'`{procedure.__name__}`' for procedure in procedures)}"
    yield table(("kind", "name", "takes"), _handlers(procedures[0]))
    for item in WORKFLOWS:
        more = [each for each in _handlers(item) if item not in procedures or each not in same]
        if more:
            yield f"## {'Also ' if item in procedures else ''}`{item.__name__}`"
            yield table(("kind", "name", "takes"), more)


def _handlers(each: type) -> Iterator[tuple[str, str, str]]:
    definition = workflow._Definition.must_from_class(each)  # noqa: SLF001 - the SDK reports it nowhere else
    kinds: list[tuple[str, Mapping[str | None, Any]]] = [
        ("signal", definition.signals),
        ("update", definition.updates),
        ("query", definition.queries),
    ]
    for kind, handlers in kinds:
        for name, handler in sorted(handlers.items(), key=lambda item: str(item[0])):
            yield kind, f"`{name}`", handler.description or ""


def _payloads() -> Iterator[tuple[str, str, str, str]]:
    for of, model in PAYLOADS:
        words = words_of_class(model)
        for name, field in model.model_fields.items():
            if name != "decision_id":
                need = "required" if field.is_required() else ""
                yield f"`{of.replace(', ', '`, `')}`", f"`{name}`", need, words.get(name, "").split("\n")[0]
