"""A small database next to the small outside world: sessions that were forgotten, and those that are ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.postgres.activities import TerminateSessions
from runbook_model.catalog.service_policies import Database
from runbook_model.catalog.target import Target
from runbook_model.measured.database import (
    Connected,
    DatabaseRead,
    Session,
    SessionName,
    Standing,
    Terminated,
)
from runbook_model.measured.symptoms import LogsRead
from tests.procedures.stage.outside import STARTED, Outside

LIMIT = 10


@dataclass
class OutsideDatabase(Outside):
    """The service's database; the test turns its knobs before or while a procedure runs."""

    database: Database | None = field(default_factory=lambda: Database(dsn_env="SHOP_DSN"))
    standing: Standing = "serves"
    application: str = "shop:2/task"
    forgotten: list[int] = field(default_factory=lambda: list(range(1, 9)))
    """Process ids of the sessions that are idle in a transaction."""
    at_work: int = 1
    leaks_again: int = 0
    """Sessions that are forgotten as soon as others were ended."""

    @property
    def target(self) -> Target:
        return super().target.model_copy(update={"database": self.database})

    def session(self, pid: int) -> Session:
        return Session(
            name=SessionName(pid=pid, backend_start=STARTED + timedelta(seconds=pid)), database="shop", role="shop",
            application=self.application, state="idle in transaction", lasts=timedelta(minutes=5), query="SELECT ?",
        )  # fmt: skip

    @activity.defn
    async def read_recent_logs(self, _target: Target) -> LogsRead:
        await self._called("read_recent_logs")
        return LogsRead(quality="known", source="logs", query="", at=STARTED)

    @activity.defn
    async def read_database(self, _target: Target) -> DatabaseRead:
        await self._called("read_database")
        if self.standing != "serves":
            return DatabaseRead(standing=self.standing, why="as the test says", at=STARTED)
        return DatabaseRead(
            standing="serves", limit=LIMIT, used=self.at_work + len(self.forgotten), database="shop",
            idle=tuple(map(self.session, self.forgotten)), at=STARTED,
        )  # fmt: skip

    @activity.defn
    async def test_connection(self, _target: Target) -> Connected:  # noqa: PT019 - an activity, not a test
        await self._called("test_connection")
        used = self.at_work + len(self.forgotten)
        return Connected(
            ok=self.standing == "serves", full=0.8, used=used, open_to_services=LIMIT, at=datetime.now(UTC)
        )

    @activity.defn
    async def terminate_sessions(self, change: TerminateSessions) -> Terminated:
        await self._called("terminate_sessions")
        ended = tuple(session for session in change.sessions if session.pid in self.forgotten)
        self.changes += [f"ended {item.pid}" for item in ended]
        self.forgotten = [pid for pid in self.forgotten if pid not in {item.pid for item in ended}]
        self.forgotten += range(100, 100 + self.leaks_again)
        return Terminated(
            ended=ended, gone=tuple(session for session in change.sessions if session not in ended)
        )

    @property
    def activities(self) -> list[object]:
        ours = [
            n
            for n, thing in vars(OutsideDatabase).items()
            if hasattr(thing, "__temporal_activity_definition")
        ]
        return [*super().activities, *(getattr(self, name) for name in ours)]
