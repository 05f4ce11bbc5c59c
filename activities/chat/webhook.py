"""Any HTTP endpoint: the message as JSON, for other chats and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from activities.chat.outlet import address_of, patience
from activities.chat.reaching import reach
from activities.telemetry.telemetry import untraced
from runbook_model.errors import AccessDeniedError, RejectedError, ThrottledError, UnreachableError
from runbook_model.incident.announcements import Delivered

if TYPE_CHECKING:
    from activities.chat.wording import Flavour, Words
    from runbook_model.catalog.policies import Channel
    from runbook_model.errors import OutsideError


class Webhook:
    """Posts ``{"mark", "text", …}`` with the mark as ``Idempotency-Key``."""

    flavour: Flavour = "txt"

    def __init__(self, channel: Channel, http: httpx.AsyncClient) -> None:
        self._channel = channel
        self._http = http

    async def look(self) -> str:
        """Connect to its host."""
        return await reach(self._channel, httpx.create_ssl_context)

    async def send(self, words: Words, thread: str | None, *, again: bool) -> Delivered:
        """Post it; the receiver tells a repeat by its key."""
        del thread
        body = {**words.content, "mark": words.mark, "text": words.text, "repeat": again}
        try:
            with untraced():
                answer = await self._http.post(
                    address_of(self._channel), json=body, headers={"idempotency-key": words.mark}
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # httpx quotes the address, which is a secret: its words stay here.
            raise UnreachableError(f"channel {self._channel.name}: {type(error).__name__}") from None
        if not answer.is_success:
            raise _refusal(answer, self._channel.name) from None
        return Delivered(told=f"channel {self._channel.name}: HTTP {answer.status_code}")


def _refusal(answer: httpx.Response, name: str) -> OutsideError:
    said = f"channel {name}: HTTP {answer.status_code}"
    status = answer.status_code
    if status == 429:
        busy = ThrottledError(said)
        busy.retry_in = patience(answer.headers)
        return busy
    if status in {401, 403}:
        return AccessDeniedError(f"{said}; mend its address in the worker's environment")
    return UnreachableError(said) if status >= 500 or status == 408 else RejectedError(said)
