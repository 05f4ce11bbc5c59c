"""Slack's errors as the product's, and free of secrets: addresses of webhooks and tokens are never in their words."""

from __future__ import annotations

from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from slack_sdk.errors import SlackApiError, SlackClientError

from activities.chat.outlet import patience
from runbook_model.errors import (
    AccessDeniedError,
    CredentialsError,
    NotFoundError,
    OutsideError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from runbook_model.redaction import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CODES: dict[str, type[OutsideError]] = {
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "token_expired", "token_revoked", "account_inactive", "invalid_token"),
        CredentialsError,
    ),
    **dict.fromkeys(
        ("missing_scope", "not_in_channel", "restricted_action", "no_permission", "action_prohibited"),
        AccessDeniedError,
    ),
    **dict.fromkeys(("channel_not_found", "thread_not_found", "no_service", "no_team"), NotFoundError),
    **dict.fromkeys(("ratelimited", "rate_limited", "message_limit_exceeded"), ThrottledError),
    **dict.fromkeys(
        ("internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"),
        UnreachableError,
    ),
}
MENDS: dict[type[OutsideError], str] = {
    CredentialsError: "renew what its variable holds",
    AccessDeniedError: "invite the app to the channel and give it its scopes",
    NotFoundError: "mend the channel in the catalog",
}


@contextmanager
def slack_errors(name: str) -> Iterator[None]:
    """Raise the product's errors for what slack_sdk raises inside.

    Args:
        name: the channel's name in the catalog.

    Raises:
        OutsideError: Slack refused, or did not answer.
    """
    try:
        yield
    except SlackApiError as error:
        answer = error.response
        code = answer.get("error") if isinstance(answer.data, dict) else None
        raise answered(name, answer.status_code, str(code or ""), answer.headers) from None
    # slack_sdk lets urllib's errors through, whose words may hold the address.
    except (SlackClientError, OSError, HTTPException, ValueError) as error:
        raise UnreachableError(f"channel {name}: Slack does not answer ({type(error).__name__})") from None


def answered(name: str, status: int, code: str, headers: Mapping[str, Any]) -> OutsideError:
    """Name a refusal by its status and Slack's own word for it."""
    said = f"channel {name}: Slack answers {status} {excerpt(code, 80)}".rstrip()
    if status == 429:
        busy = ThrottledError(said)
        busy.retry_in = patience(headers)
        return busy
    kind = UnreachableError if status >= 500 else CODES.get(code, RejectedError)
    mend = MENDS.get(kind)
    return kind(f"{said}; {mend}" if mend else said)
