"""Verifies signatures that ``ssh-keygen -Y sign`` writes (SSHSIG), of four kinds of keys.

Whatever is wrong with a signature is a ``Rejected`` with the reason: nothing that people send can end a worker's step in
another way. The armor has one form only: a signature with any byte changed is refused.

https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbook_model.authority.statement import NAMESPACE
from runbook_model.errors import Rejected

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAGIC: Final = b"SSHSIG"
BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
END: Final = "-----END SSH SIGNATURE-----"
WIDTH: Final = 70
"""Characters of a line of the armor."""
ED25519: Final = "ssh-ed25519"
ECDSA: Final = "ecdsa-sha2-nistp256"
SK_ED25519: Final = "sk-ssh-ed25519@openssh.com"
SK_ECDSA: Final = "sk-ecdsa-sha2-nistp256@openssh.com"
KEY_TYPES: Final = (ED25519, ECDSA, SK_ED25519, SK_ECDSA)
CURVE: Final = "nistp256"
USER_PRESENT: Final = 0x01
HOW: Final = f"`ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE` makes one"
HASHES: Final = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}


@dataclass(frozen=True)
class PublicKey:
    """A key as it stands in signatures and in ``allowed_signers``."""

    blob: bytes

    @property
    def type(self) -> str:
        """The name of its type, which the blob begins with."""
        return _Reader(self.blob, "key").text()

    @property
    def in_hardware(self) -> bool:
        """Whether an authenticator holds it, and asks for a touch."""
        return self.type in {SK_ED25519, SK_ECDSA}

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` prints it."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip('=')}"


def parse_key(blob: bytes) -> PublicKey:
    """Read a public key.

    Raises:
        Rejected: it is no key, or one of a type that is not taken.
    """
    _verifier(blob)
    return PublicKey(blob)


def verify_signature(message: bytes, armor: str) -> PublicKey:
    """Return the key that made a signature of a message.

    Raises:
        Rejected: it is not a signature of this message in this namespace, or made by a key of a type that is not taken.
    """
    outer = _Reader(_dearmor(armor), "signature")
    if outer.take(len(MAGIC)) != MAGIC or outer.number() != 1:
        raise Rejected("the signature is not an SSH signature of version 1", fix=HOW)
    blob, said, reserved, hash_name = outer.string(), outer.text(), outer.string(), outer.text()
    signature = outer.string()
    outer.end()
    if said != NAMESPACE:
        raise Rejected(f'the signature was made for "{said[:100]}", not for "{NAMESPACE}"', fix=HOW)
    if hash_name not in HASHES:
        raise Rejected(f"the signature's hash is {hash_name[:20]}", fix=f"use {' or '.join(HASHES)}")
    digest = HASHES[hash_name](message).digest()
    parts = (said.encode(), reserved, hash_name.encode(), digest)
    signed = MAGIC + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    _check(blob, signature, signed)
    return PublicKey(blob)


class _Reader:
    """Reads the fields of SSH's wire format; what does not fit is refused."""

    def __init__(self, data: bytes, what: str) -> None:
        self._rest = data
        self._what = what

    def take(self, count: int) -> bytes:
        """Read so many bytes."""
        if count > len(self._rest):
            raise Rejected(f"the {self._what} is cut off")
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def number(self) -> int:
        """Read four bytes as a number."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """Read bytes with their length in front."""
        return self.take(self.number())

    def text(self) -> str:
        """Read a name."""
        try:
            return self.string().decode("ascii")
        except UnicodeDecodeError:
            raise Rejected(f"the {self._what} has a name that is not ASCII") from None

    def positive(self) -> int:
        """Read a number of any length, written in the one shortest way."""
        data = self.string()
        value = int.from_bytes(data, "big", signed=True)
        if value <= 0 or len(data) != value.bit_length() // 8 + 1:
            raise Rejected(f"the {self._what} has a number that is not a positive one in its shortest form")
        return value

    def end(self) -> None:
        """Refuse what is left."""
        if self._rest:
            raise Rejected(f"the {self._what} has {len(self._rest)} bytes too many")


def _dearmor(armor: str) -> bytes:
    lines = armor.removesuffix("\n").split("\n")
    if len(lines) < 3 or lines[0] != BEGIN or lines[-1] != END:
        raise Rejected(f"the signature does not begin with {BEGIN} and end with {END}", fix=HOW)
    try:
        data = base64.b64decode("".join(lines[1:-1]).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Rejected("the signature's lines are not base64") from None
    if list(_armored(data)) != lines:
        raise Rejected(
            f"the signature's lines are not base64 of {WIDTH} characters each, as ssh-keygen writes it"
        )
    return data


def _armored(data: bytes) -> Iterator[str]:
    text = base64.b64encode(data).decode()
    yield BEGIN
    yield from (text[start : start + WIDTH] for start in range(0, len(text), WIDTH))
    yield END


def _verifier(blob: bytes) -> tuple[str, Ed25519PublicKey | EllipticCurvePublicKey, bytes | None]:
    """Read a key: its type, what verifies by it, and the application that an authenticator's belongs to."""
    # Workers load the library only where something is signed or encrypted.
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415

    reader = _Reader(blob, "key")
    kind = reader.text()
    if kind not in KEY_TYPES:
        raise Rejected(f"keys of type {kind[:60]} are not taken", fix=f"use one of {', '.join(KEY_TYPES)}")
    verifier: Ed25519PublicKey | EllipticCurvePublicKey
    try:
        if kind in {ED25519, SK_ED25519}:
            verifier = ed25519.Ed25519PublicKey.from_public_bytes(reader.string())
        else:
            if reader.text() != CURVE:
                raise Rejected(f"the key is not on the curve {CURVE}")
            point = reader.string()
            if point[:1] != b"\x04":
                raise Rejected("the key's point is not written whole")
            verifier = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise Rejected(f"the key is none: {error}") from None
    application = reader.string() if kind in {SK_ED25519, SK_ECDSA} else None
    reader.end()
    return kind, verifier, application


def _check(blob: bytes, signature: bytes, signed: bytes) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see _verifier
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils  # noqa: PLC0415

    kind, verifier, application = _verifier(blob)
    reader = _Reader(signature, "signature")
    if (made_by := reader.text()) != kind:
        raise Rejected(f"the signature is of type {made_by[:60]}, its key of type {kind}")
    own = reader.string()
    if application is not None:
        flags = reader.take(1)
        if not flags[0] & USER_PRESENT:
            raise Rejected(
                "nobody touched the key when it signed", fix="make a key without no-touch-required"
            )
        counter = reader.take(4)
        # What an authenticator signs (CTAP2): the application, the flags, its counter, the message; hashes of the long parts.
        signed = _sha256(application) + flags + counter + _sha256(signed)
    reader.end()
    try:
        if isinstance(verifier, ed25519.Ed25519PublicKey):
            verifier.verify(own, signed)
        else:
            pair = _Reader(own, "signature")
            der = utils.encode_dss_signature(pair.positive(), pair.positive())
            pair.end()
            verifier.verify(der, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Rejected("the signature is not one of this text by its key", fix=HOW) from None


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
