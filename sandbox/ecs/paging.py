"""``maxResults`` and ``nextToken``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from sandbox.ecs.errors import invalid
from sandbox.ecs.names import Fields

T = TypeVar("T")


def page(everything: Sequence[T], parameters: Fields, member: str, *, default: int = 100) -> Fields:
    """Return one page as ``{member: [...], "nextToken": ...}``.

    Raises:
        ApiError: ``InvalidParameterException``: a size out of bounds, or a token that was never given.
    """
    size = parameters.get("maxResults", default)
    if not 1 <= size <= 100:
        raise invalid("maxResults must be between 1 and 100.")
    start = _position(parameters.get("nextToken"))
    answer: Fields = {member: list(everything[start : start + size])}
    if start + size < len(everything):
        answer["nextToken"] = base64.urlsafe_b64encode(f"from:{start + size}".encode()).decode()
    return answer


def _position(token: str | None) -> int:
    if token is None:
        return 0
    try:
        word, _, position = base64.urlsafe_b64decode(token).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise invalid("Invalid token") from None
    if word != "from" or not position.isdigit():
        raise invalid("Invalid token")
    return int(position)
