"""The file of signers: OpenSSH's allowed_signers, without what cannot be read off it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.authority.signers import parse_signers, read_signers
from activities.authority.sshsig import PublicKey
from runbook_model.errors import Rejected, SignersError
from tests.unit.authority.signing import NOW, SoftKey, signers

KEY = SoftKey("ssh-ed25519")
PUBLIC = PublicKey(KEY.blob)


def test_lines_name_people_and_keys():
    file = signers("# ours\n", "\n", KEY.signer("bob,carol").replace("\n", " bob@laptop\n"))
    assert file.of("bob", PUBLIC, NOW).line == 3
    assert file.of("carol", PUBLIC, NOW).people == ("bob", "carol")
    with pytest.raises(Rejected, match="is not dave's; sign with your own key"):
        file.of("dave", PUBLIC, NOW)


def test_options_bound_when_and_what_for():
    options = (
        'valid-after="20260101Z",valid-before="202602010000Z",namespaces="git,decision@incident-runbooks"'
    )
    file = signers(KEY.signer("bob", options))
    assert file.of("bob", PUBLIC, NOW)
    with pytest.raises(Rejected, match="is not valid before 2026-01-01 00:00 UTC"):
        file.of("bob", PUBLIC, datetime(2025, 12, 31, tzinfo=UTC))
    with pytest.raises(Rejected, match="is not valid after 2026-02-01"):
        file.of("bob", PUBLIC, datetime(2026, 2, 2, tzinfo=UTC))
    with pytest.raises(Rejected, match="is not for decision@incident-runbooks"):
        signers(KEY.signer("bob", 'namespaces="git"')).of("bob", PUBLIC, NOW)


def test_a_later_line_may_replace_one_that_has_expired():
    file = signers(KEY.signer("bob", 'valid-before="20250101"'), KEY.signer("bob", 'valid-after="20260101"'))
    assert file.of("bob", PUBLIC, NOW).line == 2


def test_a_time_without_zone_is_the_machines(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        [signer] = signers(KEY.signer("bob", 'valid-after="202601010900"')).all
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert signer.valid_after == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("people", "options", "why"),
    [
        ("*", "", '"*" is a pattern; name each person'),
        ("!bob", "", "is a pattern"),
        ("bob,", "", '"" is no name'),
        ("bob", "cert-authority", "certificate authorities are not taken"),
        ("bob", 'namespaces="*"', "is a pattern; name each namespace"),
        ("bob", 'namespaces=""', "namespaces is empty"),
        ("bob", "no-touch-required", 'there is no option "no-touch-required"'),
        ("bob", 'valid-after="20260101",valid-after="20260102"', "valid-after is there twice"),
        ("bob", 'valid-before="tomorrow"', '"tomorrow" is not a time'),
        ("bob", 'valid-before="20261301"', '"20261301" is not a time'),
    ],
)
def test_names_and_options_that_are_wrong_are_named_by_file_and_line(people, options, why):
    assert why in refusal_of(KEY.signer(people, options))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("bob", "is not NAMES [OPTIONS] TYPE KEY"),
        ("bob ssh-ed25519 !!!!", "the key is not base64"),
        ("bob ssh-ed25519 AAAA", "the key is cut off"),
        ("bob ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ==", "keys of type ssh-rsa are not taken"),
    ],
    ids=lambda text: text.partition(" ssh-")[0],  # the key is another each time
)
def test_a_line_that_is_wrong_is_named_by_file_and_line(line, why):
    assert why in refusal_of(line)


def test_a_key_of_another_type_than_its_line_says_is_wrong():
    assert "the line says ssh-rsa" in refusal_of("bob " + KEY.line.replace("ssh-ed25519", "ssh-rsa", 1))


def refusal_of(line):
    with pytest.raises(SignersError) as refused:
        signers("# first\n", line)
    assert str(refused.value).startswith("signers:2: ")
    return str(refused.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_file_or_refused(data):
    try:
        parse_signers(data, "signers")
    except SignersError as error:
        assert error.message.startswith("signers:")  # noqa: PT017 - most are refused, not all


def test_the_file_is_read_again_each_time(tmp_path):
    path = tmp_path / "signers"
    path.write_text(KEY.signer("bob"))
    assert read_signers(path).of("bob", PUBLIC, NOW)
    path.write_text("# revoked\n")
    with pytest.raises(Rejected, match="is not in"):
        read_signers(path).of("bob", PUBLIC, NOW)


def test_a_file_that_is_not_there_is_an_error_with_its_fix(tmp_path):
    with pytest.raises(SignersError, match="cannot read the signers: No such file"):
        read_signers(tmp_path / "none")
    with pytest.raises(SignersError, match="RUNBOOK_SIGNERS names no file"):
        read_signers(None)
    (tmp_path / "large").write_bytes(b"#" * 1_000_001)
    with pytest.raises(SignersError, match="larger than"):
        read_signers(tmp_path / "large")
