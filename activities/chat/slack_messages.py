"""A message as Slack's blocks, and what Slack's errors mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from runbook_model.text.redaction import excerpt

if TYPE_CHECKING:
    from activities.chat.wording import Words

LONGEST_BLOCK = 3000

LONGEST_NOTIFICATION = 300

REPEAT = "maybe a repeat"


def blocks(words: Words, *, repeat: bool) -> list[dict[str, Any]]:
    """Lay a message out: its text in sections, its mark below in small print."""
    mark = f"{words.mark} · {REPEAT}" if repeat else words.mark
    sections = [{"type": "section", "text": {"type": "mrkdwn", "text": part}} for part in parts(words.text)]
    return [*sections, {"type": "context", "elements": [{"type": "mrkdwn", "text": mark}]}]


def notification(words: Words) -> str:
    """Return what a phone shows of it."""
    return next(_pieces(words.first_line, LONGEST_NOTIFICATION))


def metadata(words: Words) -> dict[str, Any]:
    """Return the mark for machines; it is how a repeat is found."""
    return {"event_type": "runbook_message", "event_payload": {"mark": words.mark}}


def mark_of(message: dict[str, Any]) -> str | None:
    """Return the mark that a posted message carries."""
    mark = ((message.get("metadata") or {}).get("event_payload") or {}).get("mark")
    return mark if isinstance(mark, str) else None


def parts(text: str) -> list[str]:
    """Cut a text into blocks, at the ends of lines where lines allow it."""
    found = [""]
    for line in text.splitlines(keepends=True):
        for piece in _pieces(line, LONGEST_BLOCK):
            if len(found[-1]) + len(piece) > LONGEST_BLOCK:
                found.append("")
            found[-1] += piece
    return [part.strip("\n") for part in found if part.strip()]


def _pieces(line: str, longest: int) -> Iterator[str]:
    while len(line) > longest:
        # Never through the middle of an escaped character: half of "&lt;" would show as it is.
        start = line.rfind("&", longest - 4, longest)
        cut = start if start > 0 else longest
        yield line[:cut]
        line = line[cut:]
    yield line


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
GONE = (404, 410)
"""How Slack answers at the address of a webhook that was removed, whatever it says."""
FIXES: dict[type[OutsideError], str] = {
    CredentialsError: "renew what its variable holds",
    AccessDeniedError: "invite the app to the channel, and give the app the scopes that it needs",
    NotFoundError: "correct the channel in the catalog",
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
        return ThrottledError(said, retry_in=patience(headers))
    known = NotFoundError if status in GONE else CODES.get(code, RejectedError)
    kind = UnreachableError if status >= 500 else known
    return kind(said, fix=FIXES.get(kind))
