"""Where a person sees one trace: the catalog's link ``traces``, with the trace's id in its place. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

TRACES = "traces"
"""Its name among the catalog's links."""
PLACE = "{trace_id}"
"""Where the id belongs."""
_ADDRESS = re.compile(r"https?://[^\s/?#@]+([/?#]\S*)?")
_OTHER_PLACE = re.compile(r"\{[^{}]*\}?|\}")


def problem_of(links: Mapping[str, str]) -> str | None:
    """Say what is wrong with the link, and the fix; None where there is none, or nothing is."""
    link = links.get(TRACES)
    if link is None:
        return None
    if not _ADDRESS.fullmatch(link):
        return "is not an address: start it with http:// or https://, without user, password and spaces"
    if other := _OTHER_PLACE.search(link.replace(PLACE, "")):
        return (
            f"{other[0]} is not known: write {PLACE} where the trace's id belongs, and nothing else in braces"
        )
    if PLACE not in link:
        return f"does not say where the trace's id belongs: write {PLACE} there"
    return None


def trace_link(links: Mapping[str, str], trace_id: str | None) -> str | None:
    """Return where a trace is seen; None where nothing was traced, or no link is known."""
    link = links.get(TRACES)
    return link.replace(PLACE, quote(trace_id, safe="")) if link and trace_id else None


def with_trace(links: Mapping[str, str], trace_id: str | None) -> dict[str, str]:
    """Return links that lead somewhere: that of the trace with its id, or none of it where nothing was traced."""
    link = trace_link(links, trace_id)
    others = {name: address for name, address in links.items() if name != TRACES}
    return others | ({TRACES: link} if link else {})
