"""What is wrong with a procedure, before anybody relies on it: its name, its page, its changes, its place in the sandbox."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from activities.temporal.predecessor import CHANGES
from runbook_model.names.procedures import problem_of_name, workflow_type
from workflows.page.procedure import ProcedureWorkflow
from workflows.page.sandbox import sandbox_runner
from workflows.procedures.procedure import Procedure


def check_page(procedure: Procedure) -> list[str]:
    """Return what is wrong with a procedure, a line each; nothing where it can be relied on.

    A package's own test says ``assert check_page(PROCEDURE) == []``.
    """
    return [*problems(procedure), *_problems_of_headings(procedure), *_unmarked_changes(procedure)]


def problems(procedure: Procedure) -> Iterator[str]:
    """Say what keeps a worker from serving a procedure."""
    name, workflow = procedure.name, procedure.workflow
    if problem := problem_of_name(name):
        yield f'a procedure cannot be called "{name}": {problem}'
        return
    if not (isinstance(workflow, type) and issubclass(workflow, ProcedureWorkflow)):
        yield f"{workflow!r} is no workflow of a procedure: derive it from ProcedureWorkflow"
        return
    definition = vars(workflow).get("__temporal_workflow_definition")
    if definition is None:
        yield f"{workflow.__name__} is no workflow: put @workflow.defn before the class"
    elif definition.name != (wanted := workflow_type(name)):
        yield f"the workflow of {name} has the type {definition.name}: rename its class to {wanted}"
    elif problem := problem_in_sandbox(workflow):
        yield f"{workflow.__module__} cannot be loaded in the sandbox of workflows: {problem}"
    if strange := sorted(procedure.changes.keys() - procedure.activity_names()):
        yield f"`changes` names {', '.join(strange)}, which is not an activity of {name}"


def problem_in_sandbox(workflow: type[ProcedureWorkflow]) -> str | None:
    """Load a workflow as a worker does, and say what comes of it."""
    definition = vars(workflow)["__temporal_workflow_definition"]

    async def load() -> None:
        sandbox_runner().prepare_workflow(definition)

    with ThreadPoolExecutor(
        1
    ) as thread:  # the sandbox wants an event loop, and here there may be one already
        error = thread.submit(asyncio.run, load()).exception()
    return f"{type(error).__name__}: {error}" if error else None


def headings_of_page(text: str) -> list[str]:
    """Return the ``##`` headings of a page in Markdown, those in code blocks left out."""
    return re.findall(
        r"^## (.+?)\s*$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )


def headings_of_workflow(workflow: type) -> list[str]:
    """Return the headings that a workflow sets: in the order of its source, and then those of its ``HEADINGS``."""
    module = inspect.getmodule(workflow)
    assert module is not None
    literal = [
        call.args[0].value
        for call in _calls(workflow, "heading")
        if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    ]
    tables = [table for key, table in vars(module).items() if key.startswith("HEADINGS")]
    return list(dict.fromkeys([*literal, *(heading for table in tables for heading in table.values())]))


def _problems_of_headings(procedure: Procedure) -> Iterator[str]:
    page = headings_of_page(procedure.page.read_text(encoding="utf-8"))
    workflow = headings_of_workflow(procedure.workflow)
    if page != workflow:
        yield f"the headings of {procedure.page.name} are not those of the workflow, in its order: {page} and {workflow}"


def _unmarked_changes(procedure: Procedure) -> Iterator[str]:
    """Name what the workflow changes by an activity that nobody would know to be a change."""
    for call in _calls(procedure.workflow, "change"):
        named = call.args[1] if len(call.args) > 1 else None
        if isinstance(named, ast.Attribute) and named.attr not in {*CHANGES, *procedure.changes}:
            yield f'{named.attr} changes something, and nothing says so: add "{named.attr}" to changes, with the call that it makes'


def _calls(workflow: type, method: str) -> Iterator[ast.Call]:
    """Find the calls of a method in a workflow's module, in the order of its source."""
    module = inspect.getmodule(workflow)
    assert module is not None
    found = (
        node
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method
    )
    yield from sorted(found, key=lambda call: call.lineno)
