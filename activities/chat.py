"""People are told here. For now in the worker's log; a step that cannot tell anybody never stops a procedure."""

from __future__ import annotations

import logging

from temporalio import activity

from activities.models import Fact

log = logging.getLogger("runbook.chat")


class Notice(Fact):
    """Something that people should know now."""

    target: str
    """``<environment>/<service>``."""
    text: str
    run: str
    """Id of the run that speaks."""
    urgent: bool = False


class ChatActivities:
    """Tells people."""

    @activity.defn
    def tell(self, notice: Notice) -> None:
        """Tell people; told twice is harmless."""
        log.log(
            logging.WARNING if notice.urgent else logging.INFO,
            "%s: %s [%s]",
            notice.target,
            notice.text,
            notice.run,
        )
