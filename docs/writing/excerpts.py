"""Files that a page shows whole: each stands in the fence below its mark ``<!-- whole file: path -->``."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1]
PAGES = (DOCS / "write-your-own-procedure.md",)
SHOWN = re.compile(r"(<!-- whole file: (?P<path>\S+) -->\n```\w+\n).*?^```$", re.DOTALL | re.MULTILINE)


def renewed(text: str) -> str:
    """Return a page with the files that it shows as they are now; their paths start at ``docs``."""
    return SHOWN.sub(lambda match: f"{match[1]}{(DOCS / match['path']).read_text(encoding='utf-8')}```", text)
