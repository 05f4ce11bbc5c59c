"""Keys that only encrypt: whoever has one writes into histories, and reads nothing of them.

The key pair is derived from a key of histories: workers need no other. A payload is encrypted once, by a key agreed
between a pair that is made for it and the public key (X25519, HKDF-SHA256, AES-256-GCM).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

PUBLIC = "public:"
"""What a line has before a key that only encrypts."""
POINT_BYTES = 32
_ONCE = bytes(12)
"""The nonce: no key encrypts twice."""


class SealingKey(bytes):
    """The public key, which only encrypts."""

    __slots__ = ()


def public_line(key_id: str, key: bytes) -> str:
    """Write the line for whoever only encrypts."""
    public = private_of(key).public_key().public_bytes_raw()
    return f"{key_id} {PUBLIC}{base64.b64encode(public).decode()}"


def private_of(key: bytes) -> X25519PrivateKey:
    """Derive from a key of histories what opens."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # noqa: PLC0415 - see Codec

    return X25519PrivateKey.from_private_bytes(_derived(key, b"runbook sealing key 1"))


def seal(public: SealingKey, plain: bytes, bound: bytes) -> bytes:
    """Encrypt for whoever has the key that the public one was derived from."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import (  # noqa: PLC0415 - see Codec
        X25519PrivateKey,
        X25519PublicKey,
    )
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    once = X25519PrivateKey.generate()
    point = once.public_key().public_bytes_raw()
    shared = once.exchange(X25519PublicKey.from_public_bytes(public))
    return point + AESGCM(_derived(shared, b"runbook sealed 1" + point + public)).encrypt(_ONCE, plain, bound)


def unseal(private: X25519PrivateKey, sealed: bytes, bound: bytes) -> bytes:
    """Decrypt.

    Raises:
        InvalidTag: it is not what was encrypted, or not for this key.
        ValueError: it is too short.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey  # noqa: PLC0415 - see Codec
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    point = sealed[:POINT_BYTES]
    shared = private.exchange(X25519PublicKey.from_public_bytes(point))
    key = _derived(shared, b"runbook sealed 1" + point + private.public_key().public_bytes_raw())
    return AESGCM(key).decrypt(_ONCE, sealed[POINT_BYTES:], bound)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - see Codec
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)
