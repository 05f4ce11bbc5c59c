"""What histories hold is encrypted before Temporal gets it: AES-256-GCM, by keys that have names.

Ids and search attributes are no payloads of this kind: Temporal itself reads them, so they stay plain. So does what came
in plain, from the Temporal UI or from before there were keys: it is read as it is.

A key that only encrypts writes into histories, and reads nothing of them. Its pair is derived from a key of histories: workers
need no other. A payload is encrypted once, by a key agreed between a pair that is made for it and the public key (X25519,
HKDF-SHA256, AES-256-GCM).
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from runbook_model.errors import InputError, MissingKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

KEYS = "RUNBOOK_CODEC_KEYS"

KEYS_FILE = "RUNBOOK_CODEC_KEYS_FILE"

ENCODING = b"binary/encrypted"

KEY_ID = "encryption-key-id"
"""Where a payload's metadata names its key; both words are those of Temporal's own examples."""

SEALED = "sealed"
"""Marks in a payload's metadata that it was encrypted by somebody who has only the public key."""

WORD_LEFT = "word-left"
"""Marks in a payload's metadata what one attempt of an activity left for the next."""

LACKING = "encrypted with a key that is not here"
"""What stands in place of such a word where its key is missing, so that the activity itself can say so."""

NONCE_BYTES = 12

KEY_BYTES = 32

MAKE_ONE = 'make one with: echo "$(date +%F) $(openssl rand -base64 32)"'

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

PUBLIC = "public:"
"""What a line has before a key that only encrypts."""

POINT_BYTES = 32

_ONCE = bytes(12)
"""The nonce: no key encrypts twice."""


def load_keys(environment: Mapping[str, str]) -> dict[str, bytes]:
    """Return the keys by their ids, the one that encrypts first; none where nothing is set, and nothing is encrypted.

    Raises:
        InputError: a line holds no key, or the file cannot be read.
    """
    text, source = environment.get(KEYS, ""), KEYS
    if file := environment.get(KEYS_FILE):
        text, source = _read(file), f"{KEYS_FILE} = {file}"
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        key_id, _, encoded = line.strip().partition(" ")
        key = _key(encoded.strip())
        if key is None or not _ID.fullmatch(key_id):
            raise InputError(  # shows no word of the line, as any may be the secret
                f"{source}, line {number} holds no key",
                fix=f"write `<key id> <base64 of {KEY_BYTES} bytes>`; {MAKE_ONE}",
            )
        if key_id in keys:
            raise InputError(
                f'{source}, line {number}: there are two keys "{key_id}"', fix="give each its own id"
            )
        keys[key_id] = key
    return keys


class Codec(PayloadCodec):
    """Encrypts by the first of its keys and decrypts by all that are not public; without any it says what it cannot read."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {}
        if keys:
            # 20 ms, which are only spent where there is something to encrypt.
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

            self._ciphers = {
                key_id: AESGCM(key) for key_id, key in keys.items() if not isinstance(key, SealingKey)
            }
        self._keys = keys
        self.encrypts_by = next(iter(keys), None)
        """The id of the key that encrypts; None: nothing is encrypted."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt, if there are keys."""
        return [self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt what is encrypted, and let through what is plain, and what its key does not open.

        The latter fails where its value is needed, or is shown as unreadable: a forged message stops no run.

        Raises:
            MissingKeyError: something is encrypted by a key that is not here.
        """
        return [self._open(payload) for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        if self.encrypts_by is None:
            return payload
        plain, bound, key = (
            payload.SerializeToString(),
            _bound(self.encrypts_by),
            self._keys[self.encrypts_by],
        )
        metadata = {"encoding": ENCODING, KEY_ID: self.encrypts_by.encode()}
        if WORD_LEFT in payload.metadata:
            metadata[WORD_LEFT] = b"true"
        if isinstance(key, SealingKey):
            return Payload(metadata={**metadata, SEALED: b"true"}, data=seal(key, plain, bound))
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self.encrypts_by].encrypt(nonce, plain, bound)
        return Payload(metadata=metadata, data=nonce + sealed)

    def _open(self, payload: Payload) -> Payload:
        key_id = key_of(payload)
        if key_id is None:
            return payload
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            if WORD_LEFT in payload.metadata:
                return _lacking(key_id)
            raise MissingKeyError(key_id)
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - there already, as the cipher is

        try:
            if SEALED in payload.metadata:
                return Payload.FromString(
                    unseal(private_of(self._keys[key_id]), payload.data, _bound(key_id))
                )
            nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
            return Payload.FromString(cipher.decrypt(nonce, sealed, _bound(key_id)))
        except (InvalidTag, ValueError):  # the second where even the nonce is cut
            return payload


def key_of(payload: Payload) -> str | None:
    """Name the key that a payload is encrypted by; None for what is plain, or somebody else's."""
    if payload.metadata.get("encoding") != ENCODING or KEY_ID not in payload.metadata:
        return None
    return payload.metadata[KEY_ID].decode(errors="replace")


def lacks_key(word: object) -> str | None:
    """Name the key that the word of an earlier attempt is encrypted by and that is not here, if that is so."""
    found = word.get(LACKING) if isinstance(word, dict) else None
    return found if isinstance(found, str) else None


def _lacking(key_id: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps({LACKING: key_id}).encode())


def _bound(key_id: str) -> bytes:
    """Say what must be the same when it is decrypted: whose it is, in which form, and by which key.

    Not the run: payloads go from run to run, by signals, memos and as children's requests.
    """
    return b"runbook payload 1 " + key_id.encode()


def _key(encoded: str) -> bytes | None:
    kind = SealingKey if encoded.startswith(PUBLIC) else bytes
    try:
        key = base64.b64decode(encoded.removeprefix(PUBLIC), validate=True)
    except ValueError:
        return None
    return kind(key) if len(key) == KEY_BYTES else None


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"{KEYS_FILE} = {file}: cannot read it: {why}") from None


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
