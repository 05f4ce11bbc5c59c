"""Which pages of reference there are, and who writes each."""

from __future__ import annotations

from pathlib import Path

from docs.writing import catalog, commands, figures, outcomes, settings, temporal

FOLDER = Path(__file__).parents[1] / "reference"
WRITTEN = "<!-- Written by `make docs` from the code; edits are lost. -->"

WRITERS = {
    "catalog.md": catalog.page,
    "cli.md": commands.page,
    "settings.md": settings.page,
    "temporal.md": temporal.page,
    "outcomes.md": outcomes.page,
    "metrics.md": figures.page,
}


def pages() -> dict[str, str]:
    """Write every page; file name -> text."""
    return {name: f"{WRITTEN}\n\n{write().strip()}\n" for name, write in WRITERS.items()}
