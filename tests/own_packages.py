"""Packages that bring procedures, as they look once they are installed: a module and its metadata in a folder."""

from __future__ import annotations

import importlib
import sys

MODULE = """
from pathlib import Path

from temporalio import activity, workflow

from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Report
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow
from workflows.procedures import Procedure


class Purging:
    def __init__(self, clients):
        self.clients = clients

    @activity.defn
    async def purge_cache(self, given: str) -> str:
        return given

    @activity.defn
    async def await_cache(self, given: str) -> str:
        return given


@workflow.defn
class {type}(ProcedureWorkflow):
    def __init__(self) -> None:
        self.page = Page("{name}")

    @workflow.run
    async def run(self, request: ProcedureRequest) -> Report:
        return await self.page.run(request, self._procedure)

    async def _procedure(self):
        self.page.heading("Look")
        self.page.heading("Purge it")
        await self.page.change("Purge it", Purging.purge_cache, "all", action="Purge", before="full", after="empty")


PROCEDURE = Procedure(
    name="{name}", workflow={type}, page=Path(__file__).with_name("{name}.md"),
    activities=[Purging], changes={{"purge_cache": "PurgeCache"}},
)
"""
PAGE = "# Purge\n\n## Look\n\nAt the cache.\n\n```bash\n# the size\ncache size\n## not a heading\n```\n\n## Purge it\n\nOnce.\n"


def install(
    folder, monkeypatch, *, package="cache-procedures", name="purge-cache", version="1.2", module=None
):
    """Put a package in a folder, and the folder on Python's path; returns the name of its module."""
    title = "".join(part.capitalize() for part in name.split("-"))
    module_name = package.replace("-", "_")
    (folder / f"{module_name}.py").write_text(
        MODULE.format(name=name, type=title) if module is None else module
    )
    (folder / f"{name}.md").write_text(PAGE)
    info = folder / f"{module_name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(
        f"[incident_runbooks.procedures]\n{name} = {module_name}:PROCEDURE\n"
    )
    if str(folder) not in sys.path:
        monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, module_name, raising=False)
    importlib.invalidate_caches()
    return module_name
