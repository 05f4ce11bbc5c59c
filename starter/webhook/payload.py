"""What Alertmanager sends to a webhook, version 4, and Grafana in the same shape.

What is there is checked strictly, each alert by itself; what is new is passed over.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PROBLEMS_SHOWN = 5
LONGEST_PLACE = 100
FINGERPRINT = re.compile(r"[0-9A-Za-z_-]{1,64}")
Status = Literal["firing", "resolved"]


class Part(BaseModel):
    """A part of the payload; a newer Alertmanager may say more than is known here."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


def _given_or(default: Any) -> Any:
    return BeforeValidator(lambda value: default if value is None else value)


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: word for name, word in value.items() if word is not None}
    return {} if value is None else value


def _fingerprint(value: Any) -> Any:
    return value if isinstance(value, str) and FINGERPRINT.fullmatch(value) else None


class SentAlert(Part):
    """One alert as it was sent; Grafana leaves out much of what Alertmanager says."""

    status: Status
    labels: dict[str, str]
    annotations: Annotated[dict[str, str], BeforeValidator(_text)] = {}
    starts_at: AwareDatetime | None = Field(alias="startsAt", default=None)
    ends_at: AwareDatetime | None = Field(alias="endsAt", default=None)
    generator_url: Annotated[str, _given_or("")] = Field(alias="generatorURL", default="")
    fingerprint: Annotated[str | None, BeforeValidator(_fingerprint)] = None

    @property
    def identity(self) -> str:
        """Its fingerprint, else one of its labels."""
        return self.fingerprint or hash_of(self.labels)


@dataclass(frozen=True)
class UnusableAlert:
    """One alert of a group that cannot be read; it takes none of the others with it."""

    problem: str
    status: Status
    labels: dict[str, str]
    identity: str


class Notification(Part):
    """One call of the webhook: a group of alerts."""

    version: Literal["4", "1"]
    """Alertmanager's, or Grafana's of the same shape."""
    group_key: Annotated[str, _given_or("")] = Field(alias="groupKey", default="")
    said_status: Status | None = Field(alias="status", default=None)
    truncated: Annotated[int, _given_or(0)] = Field(alias="truncatedAlerts", default=0, ge=0)
    sent: tuple[Any, ...] = Field(alias="alerts", strict=False)

    @cached_property
    def alerts(self) -> tuple[SentAlert | UnusableAlert, ...]:
        """The alerts, each read by itself."""
        return tuple(_read(item) for item in self.sent)

    @property
    def status(self) -> Status:
        """What the group says of itself, else whether one of its alerts fires."""
        return self.said_status or (
            "firing" if any(alert.status == "firing" for alert in self.alerts) else "resolved"
        )


def _read(sent: Any) -> SentAlert | UnusableAlert:
    try:
        return SentAlert.model_validate_json(json.dumps(sent))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
    said = sent if isinstance(sent, dict) else {}
    labels = said["labels"] if isinstance(said.get("labels"), dict) else {}
    return UnusableAlert(
        problem=f"it cannot be read: {_said(problem)}",
        status="resolved" if said.get("status") == "resolved" else "firing",
        labels={name: word for name, word in labels.items() if isinstance(word, str)},
        identity=hash_of(labels or sent),
    )


def hash_of(value: Any) -> str:
    """Return what stands in for a fingerprint: the same value, the same hash."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


class PayloadError(Exception):
    """The body cannot be understood; the message says where, and repeats nothing of what was sent."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def parse_notification(body: bytes) -> Notification:
    """Read a body.

    Raises:
        PayloadError: 400 where it is not JSON, 422 where it is not what Alertmanager sends.
    """
    try:
        return Notification.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        if problems[0]["type"] == "json_invalid":
            raise PayloadError(400, f"the body is not JSON: {problems[0]['msg']}") from None
        shown = "; ".join(_said(problem) for problem in problems[:PROBLEMS_SHOWN])
        more = f"; and {len(problems) - PROBLEMS_SHOWN} more" if len(problems) > PROBLEMS_SHOWN else ""
        raise PayloadError(422, f"not a webhook payload of Alertmanager, version 4: {shown}{more}") from None


def _said(problem: ErrorDetails) -> str:
    place = ".".join(str(part) for part in problem["loc"] if part != "[key]") or "the body"
    return f"{ascii(place[:LONGEST_PLACE])[1:-1]}: {problem['msg']}"
