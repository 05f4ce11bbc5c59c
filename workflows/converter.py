"""How values travel to and from Temporal: pydantic models as JSON, and nothing that people send is ever dropped.

Temporal's SDK drops a signal whose payload it cannot decode, with no more than a log line. Signals here declare no type
for what they take, and what has no declared type never fails to decode: it arrives as ``Unreadable``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DataConverter

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload


@dataclass(frozen=True)
class Unreadable:
    """A payload that could not be decoded."""

    received: str
    """Its beginning, as text."""


class LenientPayloadConverter(PydanticPayloadConverter):
    """Pydantic's converter, but what nobody declared a type for is never refused."""

    def from_payloads(self, payloads: Any, type_hints: list[type] | None = None) -> list[Any]:
        """Decode one by one; an undeclared value that cannot be decoded becomes ``Unreadable``."""
        hints: list[type | None] = [*(type_hints or ()), *[None] * len(payloads)]
        return [self._decode(payload, hint) for payload, hint in zip(payloads, hints, strict=False)]

    def _decode(self, payload: Payload, hint: type | None) -> Any:
        undeclared = hint is None or hint is object
        try:
            decoded: list[Any] = super().from_payloads([payload], None if hint is None else [hint])
        except Exception:
            if not undeclared:
                raise
            return Unreadable(payload.data[:200].decode(errors="replace"))
        return decoded[0]


data_converter = DataConverter(payload_converter_class=LenientPayloadConverter)
"""What every client and worker of the product uses."""
