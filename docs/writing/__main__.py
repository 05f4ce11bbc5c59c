"""``python -m docs.writing`` regenerates what the documentation has from the code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from docs.writing.excerpts import PAGES, renewed
from docs.writing.pages import FOLDER, pages

if TYPE_CHECKING:
    from pathlib import Path


def main() -> int:
    """Write every page that is not as it should be; returns 0."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        _write(FOLDER / name, text)
    for page in PAGES:
        _write(page, renewed(page.read_text(encoding="utf-8")))
    return 0


def _write(file: Path, text: str) -> None:
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
        sys.stderr.write(f"written: {file.name}\n")


if __name__ == "__main__":
    sys.exit(main())
