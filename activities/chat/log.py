"""The worker's log: the channel that is always there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from runbook_model.incident.announcements import Delivered

if TYPE_CHECKING:
    from activities.chat.wording import Flavour, Words

log = logging.getLogger("runbook.chat")


class Log:
    """Writes to the log; ``instead_of`` names a channel that the catalog does not have."""

    flavour: Flavour = "txt"

    def __init__(self, instead_of: str | None = None) -> None:
        self._why = f' (the catalog has no channel "{instead_of}")' if instead_of else ""

    async def look(self) -> str:
        """Say what it is: there is nothing that could be away."""
        return f"the worker's log{self._why}"

    async def send(self, words: Words, thread: str | None, *, again: bool) -> Delivered:
        """Write it; a repeat is told by its mark."""
        del thread, again
        level = logging.WARNING if words.urgent else logging.INFO
        log.log(level, "%s [%s]%s", words.text, words.mark, self._why)
        return Delivered(told=f"the worker's log{self._why}")
