"""Output of the command line: stdout holds the answer, stderr everything else; lines, clocks and durations as people read them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from runbook_model.text.durations import format_duration
from runbook_model.text.plain_text import UNSAFE, harmless, unbroken
from starter.exits import bad_input

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


ROOM = 60
"""Columns; with fewer, plain lines are easier to read."""
GAP = 2
"""Columns between two of a table's."""


def answer(document: object) -> None:
    """Write the one JSON document that a program reads."""
    click.echo(
        UNSAFE.sub(lambda sign: json.dumps(sign[0])[1:-1], json.dumps(document, ensure_ascii=False, indent=2))
    )


def say(text: str = "") -> None:
    """Write a line of the answer for a person."""
    click.echo(harmless(text))


def note(text: str) -> None:
    """Write a line that is not part of the answer."""
    click.echo(harmless(text), err=True)


def on_terminal() -> bool:
    """Whether a person watches stdout."""
    return sys.stdout.isatty()


def has_room() -> bool:
    """Whether a person watches stdout on a terminal that is wide enough for signs, names and sentences side by side."""
    return on_terminal() and console().width >= ROOM


def write_file(path: Path, text: str) -> None:
    """Write a file that a command was asked for.

    Raises:
        CliError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise bad_input(f"{path}: cannot be written: {error.strerror}") from error


def console(*, stderr: bool = False) -> Console:
    """Build the console for pages and tables; without a terminal it writes plain lines of any length."""
    from rich.console import Console  # noqa: PLC0415 - commands that answer with JSON need not import it

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, emoji=False, markup=False, soft_wrap=not stream.isatty())


def show(page: RenderableType) -> None:
    """Write a page on stdout."""
    console().print(page)


def table(columns: Iterable[str], rows: Iterable[tuple[Iterable[str], str]]) -> Table:
    """Lay out a table: a heading for each column, and for each row its cells and its colour."""
    from rich.table import Table  # noqa: PLC0415 - programs that read JSON need not wait for it

    laid_out = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        laid_out.add_column(column, overflow="fold")
    for cells, colour in rows:
        laid_out.add_row(*(unbroken(cell) for cell in cells), style=colour)
    return laid_out


def show_rows(columns: Sequence[str], rows: Iterable[tuple[Iterable[str], str]]) -> None:
    """Write a table; where the terminal is too narrow, each row's first cell on a line of its own, the others below it."""
    listed = [([unbroken(cell) for cell in cells], colour) for cells, colour in rows]
    widest = [max(map(len, column)) for column in zip(columns, *(cells for cells, _ in listed), strict=True)]
    terminal = console()
    if sum(widest) + GAP * len(widest) <= terminal.width:
        terminal.print(table(columns, listed))
        return
    for (first, *others), colour in listed:
        terminal.print(line(first, colour), line(f"  {' · '.join(others)}", colour), sep="\n")


def list_rows(columns: Sequence[str], rows: Iterable[tuple[Iterable[str], str]]) -> None:
    """Write rows as a table; without a terminal, with tabs between their cells."""
    if on_terminal():
        show_rows(columns, rows)
        return
    for cells, _ in rows:
        say("\t".join(cells))


def line(text: str, style: str = "") -> Text:
    """Make one line; what others wrote cannot start another, move the cursor or colour the page."""
    return Text(unbroken(text), style=style)


def clock(moment: datetime) -> str:
    """Write a moment in local time with its zone, and with the day when it is not today."""
    local = moment.astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return f"{local:%H:%M:%S %Z}" if today else f"{local:%Y-%m-%d %H:%M:%S %Z}"


def ago(moment: datetime) -> str:
    """Write how long ago a moment was."""
    return span(datetime.now(UTC) - moment)


def span(length: timedelta) -> str:
    """Write a length of time, in whole seconds once it has some."""
    seconds = max(length.total_seconds(), 0.0)
    rounded = round(seconds) if seconds >= 10 else round(seconds, 1)
    return format_duration(type(length)(seconds=rounded))
