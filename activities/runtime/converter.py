"""How values travel to and from Temporal: pydantic models as JSON, and nothing that people send is ever dropped.

Temporal's SDK drops a signal whose payload it cannot decode, with no more than a log line. Signals here declare no type
for what they take, and what has no declared type never fails to decode: it arrives as ``Unreadable``.

Encrypting is a codec's affair, which works outside of workflows, between them and Temporal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadConverter,
)

from activities.runtime.encryption import Codec, key_of
from runbook_model.errors import SealedError, TamperedError


@dataclass(frozen=True)
class Unreadable:
    """A payload that could not be decoded."""

    received: str
    """Its start, as text."""


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
        except Exception as error:
            if not undeclared:
                if (key_id := key_of(payload)) is not None:
                    raise TamperedError(key_id) from error
                raise
            return Unreadable(payload.data[:200].decode(errors="replace"))
        return decoded[0]


class EncryptedFailures(DefaultFailureConverterWithEncodedAttributes):
    """Has what failures say encrypted too; but which key is missing is asked to those who lack it."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Write an error down."""
        if isinstance(exception, SealedError) or isinstance(exception.__cause__, SealedError):
            DefaultFailureConverter().to_failure(exception, payload_converter, failure)
        else:
            super().to_failure(exception, payload_converter, failure)


data_converter = DataConverter(payload_converter_class=LenientPayloadConverter)
"""How the product's values travel, as long as nothing is encrypted."""


def with_codec(codec: Codec) -> DataConverter:
    """Return what every client and worker of the product uses: values, and the words of failures, go through the codec."""
    if codec.encrypts_by is None:
        return DataConverter(payload_converter_class=LenientPayloadConverter, payload_codec=codec)
    return DataConverter(
        payload_converter_class=LenientPayloadConverter,
        payload_codec=codec,
        failure_converter_class=EncryptedFailures,
    )
