"""Keys and signatures for tests: OpenSSH's own program, and an authenticator made of software."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from activities.authority.signers import Signers, parse_signers
from runbook_model.authority.statement import NAMESPACE, Expected, SignedStatement, Statement
from runbook_model.catalog.policies import Approvals

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SUBJECT = hashlib.sha256(b"what is shown").hexdigest()
RUN_ID = "0194b7c2-0000-7000-8000-000000000001"
POLICY = Approvals(needed=1, people=("bob", "carol", "dave"), signed=True)
EXPECTED = Expected(
    kinds=("approve",),
    namespace="default",
    workflow_id="remediation/prod/shop",
    run_id=RUN_ID,
    environment="prod",
    service="shop",
    procedure="rollback",
    gate=1,
    subject=SUBJECT,
    options=("approve",),
    requester="alice",
)


def a_statement(**other: Any) -> Statement:
    """Return bob's yes."""
    said = {
        "kind": "approve",
        "namespace": "default",
        "workflow_id": "remediation/prod/shop",
        "run_id": RUN_ID,
        "environment": "prod",
        "service": "shop",
        "procedure": "rollback",
        "gate": 1,
        "subject": SUBJECT,
        "requester": "alice",
        "signer": "bob",
        "issued_at": NOW,
        "expires_at": NOW + timedelta(minutes=10),
        "decision_id": "d-1",
    }
    return Statement(**(said | other))


def string(data: bytes) -> bytes:
    """Return bytes with their length in front, as SSH writes them."""
    return len(data).to_bytes(4, "big") + data


def mpint(value: int) -> bytes:
    """Return a positive number as SSH writes it."""
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big"))


def armored(blob: bytes) -> str:
    """Return a signature as ssh-keygen writes it."""
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    return "\n".join(("-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""))


class SoftKey:
    """A key in this process's memory; with ``sk`` it signs as an authenticator does."""

    def __init__(self, kind: str, application: str = "ssh:") -> None:
        self.kind = kind
        self.application = application.encode()
        self.sk = kind.startswith("sk-")
        self._ed = Ed25519PrivateKey.generate() if "ed25519" in kind else None
        self._ec = None if self._ed else ec.generate_private_key(ec.SECP256R1())
        self.counter = 7

    @property
    def blob(self) -> bytes:
        """The public key."""
        if self._ed:
            raw = self._ed.public_key().public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw
            )
            middle = string(raw)
        else:
            assert self._ec
            point = self._ec.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )
            middle = string(b"nistp256") + string(point)
        return string(self.kind.encode()) + middle + (string(self.application) if self.sk else b"")

    @property
    def line(self) -> str:
        """The public key as a line holds it."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    def signer(self, person: str, options: str = "") -> str:
        """Return the key's line in ``allowed_signers``."""
        return f"{person} {options} {self.line}\n" if options else f"{person} {self.line}\n"

    def sign(
        self,
        message: str | bytes,
        *,
        namespace: str = NAMESPACE,
        hash_name: str = "sha512",
        flags: int = 1,
        reserved: bytes = b"",
    ) -> str:
        """Sign as SSHSIG."""
        data = message.encode() if isinstance(message, str) else message
        digest = hashlib.new(hash_name, data).digest()
        parts = (namespace.encode(), reserved, hash_name.encode())
        signed = b"SSHSIG" + b"".join(map(string, (*parts, digest)))
        own = self._signature(signed, flags)
        return armored(
            b"SSHSIG"
            + (1).to_bytes(4, "big")
            + string(self.blob)
            + b"".join(map(string, parts))
            + string(own)
        )

    def _signature(self, signed: bytes, flags: int) -> bytes:
        after = b""
        if self.sk:
            after = bytes([flags]) + self.counter.to_bytes(4, "big")
            signed = _sha256(self.application) + after + _sha256(signed)
        if self._ed:
            raw = self._ed.sign(signed)
        else:
            assert self._ec
            r, s = decode_dss_signature(self._ec.sign(signed, ec.ECDSA(hashes.SHA256())))
            raw = mpint(r) + mpint(s)
        return string(self.kind.encode()) + string(raw) + after

    def says(self, **other: Any) -> SignedStatement:
        """Sign bob's yes, or another statement."""
        text = a_statement(**other).text()
        return SignedStatement(statement=text, signature=self.sign(text))


def signers(*lines: str) -> Signers:
    """Read lines as the file of a worker."""
    return parse_signers("".join(lines).encode(), "signers")


def keygen(*args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run ssh-keygen."""
    try:
        return subprocess.run(["ssh-keygen", *args], input=stdin, capture_output=True, check=False)
    except FileNotFoundError:
        raise AssertionError("no ssh-keygen: install Debian's openssh-client") from None


def new_key(folder: Path, kind: str = "ed25519", name: str = "key") -> Path:
    """Make a key with ssh-keygen."""
    path = folder / name
    made = keygen("-q", "-t", kind, "-N", "", "-C", name, "-f", str(path))
    assert made.returncode == 0, made.stderr
    return path


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
