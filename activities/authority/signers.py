"""Who may sign with which keys: an OpenSSH ``allowed_signers`` file, read again each time that it is needed.

Each line is ``NAMES [OPTIONS] TYPE KEY [COMMENT]``. Names are people's, with commas between them. Options: ``valid-after``,
``valid-before``, ``namespaces``. Patterns and certificate authorities are refused: whom they let in cannot be read off the
file. One line that is wrong makes the whole file wrong.

``man ssh-keygen``, ALLOWED SIGNERS.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from activities.authority.sshsig import PublicKey, parse_key
from runbook_model.authority.statement import NAMESPACE
from runbook_model.errors import Rejected, SignersError

LARGEST: Final = 1_000_000
"""Bytes of a file."""
TIMES: Final = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""How a time is written, by its length."""
NAME: Final = re.compile(r"[^\s\"*?!,]{1,200}")
PATTERN: Final = re.compile(r"[*?!]")
WORD: Final = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+')


@dataclass(frozen=True)
class Signer:
    """One line: a key, whose it is, and when."""

    people: tuple[str, ...]
    key: PublicKey
    line: int
    valid_after: datetime | None = None
    valid_before: datetime | None = None
    namespaces: tuple[str, ...] = ()
    """Empty means every one."""

    def refuses(self, at: datetime) -> str | None:
        """Say why the key does not sign decisions at a time; None when it does."""
        if self.namespaces and NAMESPACE not in self.namespaces:
            return f"is not for {NAMESPACE}"
        if self.valid_after and at < self.valid_after:
            return f"is not valid before {self.valid_after:%Y-%m-%d %H:%M %Z}"
        if self.valid_before and at > self.valid_before:
            return f"is not valid after {self.valid_before:%Y-%m-%d %H:%M %Z}"
        return None


@dataclass(frozen=True)
class Signers:
    """The file as it was read."""

    source: str
    all: tuple[Signer, ...]

    def of(self, person: str, key: PublicKey, at: datetime) -> Signer:
        """Return the line by which a key is a person's at a time.

        Raises:
            Rejected: there is none; the reason says what the file has.
        """
        of_key = [signer for signer in self.all if signer.key == key]
        of_person = [signer for signer in of_key if person in signer.people]
        if not of_key:
            raise Rejected(
                f"the key {key.fingerprint} is not in {self.source}", fix="add it there, or use another"
            )
        if not of_person:
            raise Rejected(f"the key {key.fingerprint} is not {person}'s", fix="sign with your own key")
        reasons = [signer.refuses(at) for signer in of_person]
        for signer, why in zip(of_person, reasons, strict=True):
            if why is None:
                return signer
        raise Rejected(f"{person}'s key {key.fingerprint} {reasons[-1]}", fix="sign with a key that is valid")


def read_signers(path: Path | None) -> Signers:
    """Read the file.

    Raises:
        SignersError: no file is named, it cannot be read, or a line of it is wrong.
    """
    if path is None:
        raise SignersError("decisions are signed here and RUNBOOK_SIGNERS names no file", fix=WANTED)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise SignersError(f"{path}: cannot read the signers: {error.strerror}", fix=WANTED) from None
    if len(data) > LARGEST:
        raise SignersError(f"{path}: is larger than {LARGEST} bytes")
    return parse_signers(data, str(path))


WANTED: Final = "set RUNBOOK_SIGNERS of the worker to its allowed_signers file"


def parse_signers(data: bytes, source: str) -> Signers:
    """Read the lines of a file.

    Raises:
        SignersError: one is wrong; the message has file and line.
    """
    found: list[Signer] = []
    for number, raw in enumerate(data.split(b"\n"), start=1):
        try:
            line = raw.decode().strip()
            if line and not line.startswith("#"):
                found.append(_signer(line, number))
        except UnicodeDecodeError:
            raise SignersError(f"{source}:{number}: is not UTF-8") from None
        except Rejected as error:
            raise SignersError(f"{source}:{number}: {error.message}", fix=error.fix) from None
    return Signers(source, tuple(found))


def _signer(line: str, number: int) -> Signer:
    words = WORD.findall(line)
    if len(words) < 3 or " ".join(words) != " ".join(line.split()):
        raise Rejected(
            "is not NAMES [OPTIONS] TYPE KEY", fix="`man ssh-keygen`, ALLOWED SIGNERS, shows lines"
        )
    people = tuple(_unquoted(words[0]).split(","))
    for person in people:
        if PATTERN.search(person):
            raise Rejected(f'"{person}" is a pattern', fix="name each person")
        if not NAME.fullmatch(person):
            raise Rejected(
                f'"{person}" is no name', fix="name people with commas between them, without spaces"
            )
    has_options = not _is_key_type(words[1])
    options = _options(words[1]) if has_options else {}
    kind, text = (*words[1 + has_options :], "")[:2]
    if not _is_key_type(kind):
        raise Rejected(
            f'"{kind[:60]}" is not the type of a key', fix="options stand in one word, with commas"
        )
    key = _key(kind, text)
    return Signer(
        people=people,
        key=key,
        line=number,
        valid_after=_time(options.get("valid-after")),
        valid_before=_time(options.get("valid-before")),
        namespaces=_namespaces(options.get("namespaces")),
    )


def _is_key_type(word: str) -> bool:
    return word.startswith(("ssh-", "ecdsa-", "sk-", "rsa-", "webauthn-"))


def _key(kind: str, text: str) -> PublicKey:
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Rejected("the key is not base64") from None
    key = parse_key(blob)
    if key.type != kind:
        raise Rejected(f"the line says {kind[:60]}, and its key is of type {key.type}")
    return key


def _options(word: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for option in re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+', word):
        name, _, value = option.partition("=")
        name = name.lower()
        if name == "cert-authority":
            raise Rejected("certificate authorities are not taken", fix="list each person's key")
        if name not in {"valid-after", "valid-before", "namespaces"}:
            raise Rejected(
                f'there is no option "{name[:60]}"', fix="valid-after, valid-before and namespaces are taken"
            )
        if name in found:
            raise Rejected(f"{name} is there twice")
        found[name] = _unquoted(value)
    return found


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    utc = text.endswith(("Z", "z"))
    digits = text[:-1] if utc else text
    not_a_time = Rejected(
        f'"{text[:60]}" is not a time', fix="write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, and Z for UTC"
    )
    if len(digits) not in TIMES or not (digits.isascii() and digits.isdigit()):
        raise not_a_time
    try:
        time = datetime.strptime(digits, TIMES[len(digits)])  # noqa: DTZ007 - without Z in the machine's zone, as OpenSSH has it
        return time.replace(tzinfo=UTC) if utc else time.astimezone()
    except (ValueError, OverflowError):
        raise not_a_time from None


def _namespaces(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    if PATTERN.search(text):
        raise Rejected(f'namespaces="{text[:100]}" is a pattern', fix="name each namespace")
    names = tuple(name for name in text.split(",") if name)
    if not names:
        raise Rejected("namespaces is empty")
    return names


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
