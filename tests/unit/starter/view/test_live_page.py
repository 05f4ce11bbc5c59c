"""Pages, lines and tables on terminals of any size."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from rich.text import Text

from runbook_model.reports import Change, Decision, Report, State, Step
from starter.client.run_view import RunView
from starter.commands.remediation.watch import HEAD_LINES, NewLines, fitting
from starter.printing import clock, show_rows


def test_a_page_that_fits_is_shown_whole():
    lines = [Text(str(number)) for number in range(10)]
    assert fitting(lines, 24) == lines


def test_of_a_longer_page_the_head_and_the_newest_are_shown():
    shown = [text.plain for text in fitting([Text(str(number)) for number in range(100)], 20)]
    assert len(shown) == 19
    assert shown[:HEAD_LINES] == ["0", "1", "2", "3"]
    assert shown[HEAD_LINES] == "…"
    assert shown[-1] == "99"


def test_lines_are_in_order_and_bear_the_time_when_it_happened_also_where_the_watch_began_later(capsys):
    began = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
    ended = began + timedelta(minutes=2)
    steps = (
        Step(heading="Look", step="Count", state="done", started=began, ended=began + timedelta(seconds=7)),
    )
    decisions = (
        Decision(kind="pause", by="bob", at=began + timedelta(seconds=3), detail=""),
        Decision(kind="void", by="the service", at=began + timedelta(seconds=9), detail="it changed"),
    )
    changes = (Change(action="POST /purge", before="stale", after="empty"),)
    report = Report(
        procedure="purge", service="shop", environment="prod", requested_by="alice",
        state=State.DONE, summary="Over.", steps=steps, changes=changes, decisions=decisions,
    )  # fmt: skip
    run = SimpleNamespace(id="remediation/prod/shop", is_open=False, started=began, ended=ended)
    NewLines().write(RunView(run, report, live=True))
    assert capsys.readouterr().out.splitlines() == [
        f"{clock(began + timedelta(seconds=3))}  pause by bob",
        f"{clock(began + timedelta(seconds=7))}  Look: Count: done",
        f"{clock(began + timedelta(seconds=9))}  asked again: it changed",
        f"{clock(ended)}  POST /purge: stale -> empty",
    ]


ROWS = [(["remediation/prod/shop", "rollback", "done"], ""), (["incident/prod/shop", "incident", "done"], "")]


def test_a_table_stands_side_by_side_where_the_terminal_has_room(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show_rows(("id", "procedure", "state"), ROWS)
    assert [text.split() for text in capsys.readouterr().out.splitlines()] == [
        ["id", "procedure", "state"],
        *(cells for cells, _ in ROWS),
    ]


def test_on_a_narrow_terminal_no_cell_of_a_table_is_broken(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    show_rows(("id", "procedure", "state"), ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "remediation/prod/shop",
        "  rollback · done",
        "incident/prod/shop",
        "  incident · done",
    ]
