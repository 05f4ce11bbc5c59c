"""What Alertmanager sends to a webhook, version 4; what is there is checked strictly, what is new is passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PROBLEMS_SHOWN = 5
LONGEST_PLACE = 100
Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
Status = Literal["firing", "resolved"]
Words = dict[str, str]


class Part(BaseModel):
    """A part of the payload; a newer Alertmanager may say more than is known here."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class SentAlert(Part):
    """One alert as it was sent."""

    status: Status
    labels: Words
    annotations: Words = {}
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(alias="endsAt", default=None)
    generator_url: str = Field(alias="generatorURL", default="")
    fingerprint: Fingerprint


class Notification(Part):
    """One call of the webhook: a group of alerts."""

    version: Literal["4"]
    group_key: str = Field(alias="groupKey")
    status: Status
    truncated: int = Field(alias="truncatedAlerts", default=0, ge=0)
    alerts: tuple[SentAlert, ...] = Field(strict=False)


class PayloadError(Exception):
    """The body cannot be understood; the message tells where, and repeats nothing of what was sent."""

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
