"""Signatures: OpenSSH and we agree, and whatever is changed is refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.authority.sshsig import KEY_TYPES, PublicKey, verify_signature
from runbook_model.authority.statement import NAMESPACE
from runbook_model.errors import Rejected
from tests.unit.authority.signing import SoftKey, armored, keygen, mpint, new_key, string

MESSAGE = b'{"kind":"approve"}'


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_what_ssh_keygen_signs_is_verified(tmp_path, kind, hash_name):
    key = new_key(tmp_path, kind)
    made = keygen(
        "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, "-O", f"hashalg={hash_name}", stdin=MESSAGE
    )
    assert made.returncode == 0, made.stderr
    found = verify_signature(MESSAGE, made.stdout.decode())
    listed = keygen("-l", "-f", f"{key}.pub").stdout.decode()
    assert found.fingerprint in listed
    assert not found.in_hardware


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_what_our_software_keys_sign_is_verified_by_ssh_keygen_and_by_us(tmp_path, kind):
    key = SoftKey(kind)
    (tmp_path / "signers").write_text(key.signer("bob"))
    (tmp_path / "signature").write_text(key.sign(MESSAGE))
    where = ("-f", str(tmp_path / "signers"), "-s", str(tmp_path / "signature"))
    theirs = keygen("-Y", "verify", "-I", "bob", "-n", NAMESPACE, *where, stdin=MESSAGE)
    assert theirs.returncode == 0, theirs.stderr
    assert verify_signature(MESSAGE, key.sign(MESSAGE)) == PublicKey(key.blob)


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_signature_with_any_byte_changed_is_refused(kind):
    key = SoftKey(kind)
    armor = key.sign(MESSAGE)
    for place, character in enumerate(armor):
        # The line feed at the end may be missing, but not be another character.
        other = chr(ord(character) ^ 1)
        with pytest.raises(Rejected):
            verify_signature(MESSAGE, armor[:place] + other + armor[place + 1 :])


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_signature_with_any_byte_changed_within_its_armor_is_refused(kind):
    key = SoftKey(kind)
    blob = base64.b64decode("".join(key.sign(MESSAGE).splitlines()[1:-1]))
    for place in range(len(blob)):
        changed = blob[:place] + bytes([blob[place] ^ 0x80]) + blob[place + 1 :]
        with pytest.raises(Rejected):
            verify_signature(MESSAGE, armored(changed))


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_message_with_any_byte_changed_is_refused(kind):
    armor = SoftKey(kind).sign(MESSAGE)
    for place in range(len(MESSAGE)):
        changed = MESSAGE[:place] + bytes([MESSAGE[place] ^ 1]) + MESSAGE[place + 1 :]
        with pytest.raises(Rejected, match="not one of this text"):
            verify_signature(changed, armor)


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_signature_that_is_cut_off_anywhere_is_refused(kind):
    armor = SoftKey(kind).sign(MESSAGE)
    for length in range(len(armor) - 1):
        with pytest.raises(Rejected):
            verify_signature(MESSAGE, armor[:length])


@given(st.text(max_size=400))
def test_text_that_is_no_signature_is_refused_and_nothing_else_happens(text):
    with pytest.raises(Rejected):
        verify_signature(MESSAGE, text)


@given(st.binary(max_size=300))
def test_bytes_in_an_armor_that_are_no_signature_are_refused_and_nothing_else_happens(data):
    with pytest.raises(Rejected):
        verify_signature(MESSAGE, armored(b"SSHSIG\x00\x00\x00\x01" + data))


@given(st.sampled_from(KEY_TYPES), st.binary(max_size=120), st.binary(max_size=120))
def test_keys_and_signatures_of_any_bytes_are_refused_and_nothing_else_happens(kind, key, signature):
    blob = string(kind.encode()) + key
    parts = (blob, NAMESPACE.encode(), b"", b"sha512", string(kind.encode()) + signature)
    with pytest.raises(Rejected):
        verify_signature(MESSAGE, armored(b"SSHSIG\x00\x00\x00\x01" + b"".join(map(string, parts))))


def test_a_signature_for_another_purpose_is_no_decision():
    armor = SoftKey("ssh-ed25519").sign(MESSAGE, namespace="git")
    with pytest.raises(Rejected, match='made for "git", not for "decision@incident-runbooks"'):
        verify_signature(MESSAGE, armor)


@pytest.mark.parametrize("kind", [kind for kind in KEY_TYPES if kind.startswith("sk-")])
def test_a_key_in_hardware_that_nobody_touched_does_not_sign(kind):
    key = SoftKey(kind)
    assert verify_signature(MESSAGE, key.sign(MESSAGE, flags=0x05)).in_hardware
    with pytest.raises(Rejected, match="nobody touched the key"):
        verify_signature(MESSAGE, key.sign(MESSAGE, flags=0x04))


def test_what_is_reserved_is_signed_as_it_is():
    armor = SoftKey("ssh-ed25519").sign(MESSAGE, reserved=b"later")
    verify_signature(MESSAGE, armor)


def test_keys_of_other_types_are_refused(tmp_path):
    key = new_key(tmp_path, "rsa")
    made = keygen("-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, stdin=MESSAGE)
    with pytest.raises(Rejected, match="keys of type ssh-rsa are not taken"):
        verify_signature(MESSAGE, made.stdout.decode())


def test_a_number_in_another_form_than_the_shortest_is_refused():
    key = SoftKey("ecdsa-sha2-nistp256")
    blob = base64.b64decode("".join(key.sign(MESSAGE).splitlines()[1:-1]))
    outer = len(b"SSHSIG") + 4 + 4 + len(key.blob) + 4 + len(NAMESPACE) + 4 + 4 + len("sha512")
    own = blob[outer + 4 :]
    name = string(key.kind.encode())
    inner = own[len(name) + 4 :]
    length = int.from_bytes(inner[:4], "big")
    r, rest = inner[4 : 4 + length], inner[4 + length :]
    assert mpint(int.from_bytes(r, "big")) == string(r)
    longer = name + string(string(b"\x00" + r) + rest)
    with pytest.raises(Rejected, match="shortest form"):
        verify_signature(MESSAGE, armored(blob[:outer] + string(longer)))


def test_a_signature_copied_without_its_last_line_feed_is_taken():
    armor = SoftKey("ssh-ed25519").sign(MESSAGE)
    verify_signature(MESSAGE, armor.removesuffix("\n"))
