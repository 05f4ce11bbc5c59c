"""Which step of a page an activity is: a header of the activity says so, so that a history can be read as a page.

Ids of activities are plain counters, for replay compares them; it compares no headers, so a heading may be reworded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import ValidationError
from temporalio.api.common.v1 import Payload

from runbook_model.fact import Fact

STEP_HEADER = "runbook-step"


class StepPlace(Fact):
    """Where a step stands on its page."""

    heading: str
    number: int
    """Counts the page's steps, from 1."""


def place_of(headers: Mapping[str, Payload]) -> StepPlace | None:
    """Read the place from an activity's headers; None where it is no step of a page."""
    if STEP_HEADER not in headers:
        return None
    try:
        return StepPlace.model_validate(json.loads(headers[STEP_HEADER].data))
    except (ValueError, ValidationError):
        return None
