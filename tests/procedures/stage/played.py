"""Procedures whose course a test plays by hand, on the page that every procedure has."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from runbook_model.catalog.policies import Approvals
    from runbook_model.catalog.target import Target
    from runbook_model.messages import ProcedureRequest, RollbackRequest
    from runbook_model.reports import Ending, Outcome, Report, Undone
    from tests.procedures.stage.outside import Outside
    from workflows.page.page import Page
    from workflows.page.procedure import ProcedureWorkflow


class Thing:
    """The one thing that played procedures change."""

    changes = 0

    @activity.defn
    async def change(self, _what: str) -> str:
        self.changes += 1
        return "made"

    @activity.defn
    async def resolve_target(self, _what: object) -> Target:
        return Outside(approvals=Approvals(timeout=timedelta(days=2), remind=timedelta(days=1))).target


class Played(ProcedureWorkflow):
    def __init__(self, procedure: str) -> None:
        self.page = Page(procedure)
        self.cues: list[dict[str, object]] = []

    @workflow.signal
    def cue(self, what: dict[str, object]) -> None:
        self.cues.append(what)

    async def play(self, request: ProcedureRequest) -> Report:
        return await self.page.run(request, self._body)

    async def _body(self) -> Ending:
        page = self.page
        page.heading("Play")
        while True:
            await workflow.wait_condition(lambda: bool(self.cues))
            cue = self.cues.pop(0)
            match cue["do"]:
                case "find":
                    page.record.found(str(cue["text"]))
                case "change":
                    await page.change(
                        "Change it", Thing.change, "x", action="UpdateService", before="2", after="1",
                        undo=_broken if cue.get("undo") == "broken" else None,
                    )  # fmt: skip
                case "ask":
                    target = await page.read("Look the target up", Thing.resolve_target, "x")
                    page.record.found(
                        f"chosen {await page.choose('How to continue?', 'why', target, ('a', 'b'))}"
                    )
                case _:
                    page.end(Outcome(str(cue["outcome"])), str(cue.get("summary", "It is over.")))


async def _broken() -> Undone:
    raise KeyError("what was")


@workflow.defn(name="HighErrorRate")
class PlayedErrorRate(Played):
    def __init__(self) -> None:
        super().__init__("high-error-rate")

    @workflow.run
    async def run(self, request: ProcedureRequest) -> Report:
        return await self.play(request)


@workflow.defn(name="HighLatency")
class PlayedLatency(Played):
    def __init__(self) -> None:
        super().__init__("high-latency")

    @workflow.run
    async def run(self, request: ProcedureRequest) -> Report:
        return await self.play(request)


@workflow.defn(name="ServiceDown")
class PlayedServiceDown(Played):
    def __init__(self) -> None:
        super().__init__("service-down")

    @workflow.run
    async def run(self, request: ProcedureRequest) -> Report:
        return await self.play(request)


@workflow.defn(name="Rollback")
class PlayedRollback(Played):
    def __init__(self) -> None:
        super().__init__("rollback")

    @workflow.run
    async def run(self, request: RollbackRequest) -> Report:
        return await self.play(request)


PLAYED = [PlayedErrorRate, PlayedLatency, PlayedServiceDown, PlayedRollback]
