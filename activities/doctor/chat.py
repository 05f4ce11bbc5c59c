"""The channels where people are notified: each is tried as far as that goes without notifying anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from activities.doctor.looking import NotSetError, WrongError, check
from runbook_model.catalog.policies import Channel
from runbook_model.checks import SECONDS, Check, Row

if TYPE_CHECKING:
    from activities.chat.channels import Channels


async def try_channels(outlets: Channels, channels: Sequence[Channel]) -> str:
    """Try every channel at once; the line is red where one would not carry a message, and names it."""
    if not channels:
        raise NotSetError("no channels: what people should know stands in the worker's log")
    tried = await asyncio.gather(*(_try(outlets, channel) for channel in channels))
    if wrong := [item for item in tried if item.ok is False]:
        fixes = dict.fromkeys(item.fix for item in wrong if item.fix)
        raise WrongError("; ".join(map(_text, wrong)), "; ".join(fixes))
    return "; ".join(map(_text, tried))


async def _try(outlets: Channels, channel: Channel) -> Check:
    async def look() -> str:
        return await outlets.open(channel.name).look()

    reach = "let the worker reach its host"
    fix = reach if channel.kind == "slack" else f"{reach}, or correct what {channel.secret_env} holds"
    return await check(Row(channel.name, "environment", fix=fix, seconds=SECONDS), look)


def _text(tried: Check) -> str:
    said = tried.detail.removeprefix(f"channel {tried.name}: ")
    return f"channel {tried.name}: {said}"
