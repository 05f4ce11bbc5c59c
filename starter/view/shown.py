"""What a gate shows, with every field: what a person reads before signing it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runbook_model.authority.shown import Shown
from runbook_model.text.plain_text import UNSAFE
from starter.printing import line

if TYPE_CHECKING:
    from rich.text import Text


def shown(document: Shown, subject: str) -> Iterator[Text]:
    """Lay out all that is signed."""
    yield line(document.question, "bold yellow")
    yield line(f"  {document.headline}", "bold")
    for reason in document.reasons:
        yield line(f"    because {reason}")
    yield line(f"    target {document.target}, in the catalog as {document.target_hash or 'not said'}")
    for call in document.calls:
        yield line(f"    call {call.service} {call.action} {_json(call.parameters)}")
    if document.fence:
        yield line(f"    while {_json(document.fence.model_dump(mode='json'))}")
    if document.essence:
        yield line(f"    bound to {document.essence}")
    for loss in document.not_restored:
        yield line(f"    not restored: {loss}", "yellow")
    for following in document.follows:
        until = f"{following.until:%Y-%m-%d %H:%M} UTC"
        yield line(f"    may follow until {until}: {following.kind}: {following.what}")
        for call in following.calls:
            yield line(f"      call {call.service} {call.action} {_json(call.parameters)}")
    yield line(f"    options {', '.join(document.options)}")
    yield line(f"    plan {document.plan_hash}")
    yield line(f"    SHA-256 {subject}", "dim")
    if any(UNSAFE.search(text) for text in _texts(document.model_dump(mode="json"))):
        yield line(
            "    it holds characters that are not shown here: look at them with --json before you sign",
            "bold red",
        )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _texts(value: object) -> Iterator[str]:
    """List every text of a document, names of parameters too."""
    match value:
        case str():
            yield value
        case dict():
            for name, part in value.items():
                yield from _texts(name)
                yield from _texts(part)
        case list() | tuple():
            for part in value:
                yield from _texts(part)
