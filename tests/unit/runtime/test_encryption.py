"""Payloads are encrypted by the first key, decrypted by all, and what is plain goes through."""

import base64
import subprocess
import sys

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from activities.runtime.converter import Unreadable, data_converter, with_codec
from activities.runtime.encryption import ENCODING, KEY_ID, WORD_LEFT, Codec, lacks_key, load_keys
from activities.terraform.program import environment_for
from runbook_model.catalog.service_policies import Terraform
from runbook_model.errors import InputError, MissingKeyError, TamperedError
from runbook_model.messages import RollbackRequest
from starter.client.connect import public_keys
from tests.sealing import codec, key, sealing
from workflows.decisions.endings import certainly_not_made

REQUEST = RollbackRequest(
    service="shop", environment="prod", requested_by="alice", reason="the cache is full of pears"
)
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"by": "bob"}')


async def sealed(by=None, value=REQUEST):
    (payload,) = await with_codec(by or codec("2026-01")).encode([value])
    return payload


async def test_what_was_encrypted_comes_back_and_cannot_be_read_meanwhile():
    payload = await sealed()
    assert await with_codec(codec("2026-01")).decode([payload], [RollbackRequest]) == [REQUEST]
    assert dict(payload.metadata) == {"encoding": ENCODING, KEY_ID: b"2026-01"}
    assert b"pears" not in payload.SerializeToString()
    assert b"shop" not in payload.SerializeToString()


async def test_the_same_twice_is_not_the_same_when_it_is_encrypted():
    first, second = await codec("a").encode([PLAIN, PLAIN])
    assert first.data != second.data
    assert await codec("a").decode([first, second]) == [PLAIN, PLAIN]


async def test_nothing_at_all_and_nothing_but_null_come_back():
    assert await codec("a").encode([]) == []
    assert await codec("a").decode([]) == []
    assert await with_codec(codec("a")).decode([await sealed(codec("a"), None)]) == [None]


async def test_the_first_key_encrypts_and_all_decrypt():
    old = await sealed(codec("2026-01"))
    both = codec("2026-02", "2026-01")
    new = await sealed(both)
    assert new.metadata[KEY_ID] == b"2026-02"
    assert await with_codec(both).decode([old, new], [RollbackRequest] * 2) == [REQUEST, REQUEST]


async def test_a_key_that_is_missing_is_named_with_the_fix():
    said = (
        r'encrypted with key "2026-02", which is not among the keys here; add its line to RUNBOOK_CODEC_KEYS'
    )
    for lacking in (codec("2026-01"), codec()):
        with pytest.raises(MissingKeyError, match=said):
            await lacking.decode([PLAIN, await sealed(codec("2026-02"))])


async def test_without_keys_nothing_is_encrypted_and_what_is_plain_is_read():
    assert await codec().encode([PLAIN]) == [PLAIN]
    assert await codec().decode([PLAIN]) == [PLAIN]


@pytest.mark.parametrize(
    "payload",
    [
        PLAIN,
        Payload(metadata={"encoding": b"binary/null"}),
        Payload(metadata={"encoding": b"binary/encrypted"}, data=b"somebody else's"),
        Payload(data=b"no encoding"),
        Payload(),
    ],
)
async def test_what_is_not_ours_goes_through(payload):
    assert await codec("a").decode([payload]) == [payload]


def changed(payload, how):
    other = Payload()
    other.CopyFrom(payload)
    how(other)
    return other


def flip(payload):
    payload.data = payload.data[:-1] + bytes([payload.data[-1] ^ 1])


def cut(payload):
    payload.data = payload.data[:5]


def empty(payload):
    payload.data = b""


def rename(payload):
    payload.metadata[KEY_ID] = b"b"


@pytest.mark.parametrize("how", [flip, cut, empty, rename])
async def test_what_was_tampered_with_is_an_error_where_it_is_needed_and_unreadable_elsewhere(how):
    same_bytes = load_keys({"RUNBOOK_CODEC_KEYS": key("a")})["a"]
    converter = with_codec(
        Codec({"a": same_bytes, "b": same_bytes})
    )  # the id itself is bound, not only the key
    payload = changed(await sealed(codec("a")), how)
    with pytest.raises(TamperedError, match=r'encrypted with a key "[ab]" that is not the one of that name'):
        await converter.decode([payload], [RollbackRequest])
    (value,) = await converter.decode([payload])
    assert isinstance(value, Unreadable)


async def test_what_a_failure_says_is_encrypted_with_its_details_and_its_causes():
    converter = with_codec(codec("a"))
    error = ApplicationError("the password is pears", "details of pears", type="RejectedError")
    error.__cause__ = ApplicationError("because of pears")
    await converter.encode_failure(error, failure := Failure())
    assert b"pears" not in failure.SerializeToString()
    assert (failure.message, failure.application_failure_info.type) == ("Encoded failure", "RejectedError")
    wording = await converter.decode_failure(failure)
    assert isinstance(wording, ApplicationError)
    assert (wording.message, wording.details) == ("the password is pears", ("details of pears",))
    assert "because of pears" in str(wording.__cause__)


async def test_words_of_a_failure_that_cannot_be_read_never_say_that_a_change_was_not_made():
    converter = with_codec(codec("a"))
    for said in (True, False):
        await converter.encode_failure(ApplicationError("x", said), failure := Failure())
        assert certainly_not_made(await converter.decode_failure(failure)) is said
        await converter.encode_failure(ApplicationError("x", said), failure := Failure())
        flip(failure.application_failure_info.details.payloads[0])
        assert certainly_not_made(await converter.decode_failure(failure)) is False


async def test_failures_of_before_there_were_keys_are_read():
    await data_converter.encode_failure(ApplicationError("plain", 7), failure := Failure())
    assert (await with_codec(codec("a")).decode_failure(failure)).details == (7,)


async def test_the_word_of_an_earlier_attempt_says_which_key_is_missing():
    word = Payload(metadata={"encoding": b"json/plain", WORD_LEFT: b"true"}, data=b'"pears"')
    (payload,) = await codec("b").encode([word])
    assert b"pears" not in payload.SerializeToString()
    assert await with_codec(codec("b")).decode([payload]) == ["pears"]
    for lacking in (codec("a"), codec()):
        (found,) = await with_codec(lacking).decode([payload])
        assert lacks_key(found) == "b"


@pytest.mark.parametrize("word", [None, "x", {}, {"a": 1}, ["b"], 7])
def test_another_word_lacks_no_key(word):
    assert lacks_key(word) is None


class TestKeys:
    def test_unset_or_empty_is_none(self, tmp_path):
        file = tmp_path / "keys"
        file.write_text("\n")
        for environment in (
            {},
            {"RUNBOOK_CODEC_KEYS": ""},
            {"RUNBOOK_CODEC_KEYS_FILE": ""},
            {"RUNBOOK_CODEC_KEYS_FILE": str(file)},
        ):
            assert load_keys(environment) == {}

    def test_a_file_goes_before_the_variable_and_keeps_its_order(self, tmp_path):
        file = tmp_path / "keys"
        file.write_text(f"{key('new')}\n\n  {key('old')}  \n")
        keys = load_keys({"RUNBOOK_CODEC_KEYS_FILE": str(file), "RUNBOOK_CODEC_KEYS": key("other")})
        assert list(keys) == ["new", "old"]
        assert {len(item) for item in keys.values()} == {32}

    @pytest.mark.parametrize(
        "line",
        [
            "secretsecretsecret",
            f"a {base64.b64encode(b'secretsecretsecret').decode()}",
            f"a {base64.b64encode(bytes(33)).decode()}",
            "a secret!",
            f"{key('a')} secret",
            f"a/secret {key('a').split()[1]}",
            f"{'a' * 64} {key('a').split()[1]}",
        ],
    )
    def test_a_line_that_is_none_is_reported_by_its_number_and_none_of_it_is_shown(self, line):
        said = r"^RUNBOOK_CODEC_KEYS, line 2 holds no key; write `<key id> <base64 of 32 bytes>`; make one with: echo "
        with pytest.raises(InputError, match=said) as raised:
            load_keys({"RUNBOOK_CODEC_KEYS": f"{key('x')}\n{line}"})
        assert not [word for word in line.split() if len(word) > 3 and word in str(raised.value)]

    def test_two_keys_of_one_id_are_refused(self):
        with pytest.raises(InputError, match='line 2: there are two keys "a"'):
            load_keys({"RUNBOOK_CODEC_KEYS": f"{key('a')}\n{key('a')}"})

    def test_a_file_that_cannot_be_read_is_reported_and_is_not_off(self, tmp_path):
        with pytest.raises(
            InputError, match=r"RUNBOOK_CODEC_KEYS_FILE = .*nowhere: cannot read it: No such file"
        ):
            load_keys({"RUNBOOK_CODEC_KEYS_FILE": str(tmp_path / "nowhere")})

    def test_the_command_that_the_error_names_makes_a_key(self):
        with pytest.raises(InputError) as raised:
            load_keys({"RUNBOOK_CODEC_KEYS": "x"})
        made = subprocess.run(
            ["sh", "-c", str(raised.value).partition("make one with: ")[2]],
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(load_keys({"RUNBOOK_CODEC_KEYS": made.stdout})) == 1


def test_what_terraform_runs_does_not_get_the_keys(tmp_path):
    ours = {"RUNBOOK_CODEC_KEYS": key("a"), "RUNBOOK_CODEC_KEYS_FILE": "/keys", "AWS_REGION": "x"}
    wording = environment_for(Terraform(directory="."), ours, tmp_path)
    assert not {name for name in wording if name.startswith("RUNBOOK_")}
    assert wording["AWS_REGION"] == "x"


@pytest.mark.parametrize(("keys", "imported"), [("", []), (key("a"), ["cryptography"])])
def test_the_cipher_is_only_loaded_where_there_are_keys(keys, imported):
    program = (
        f"import os, sys; os.environ['RUNBOOK_CODEC_KEYS'] = {keys!r};"
        "import worker; from starter.client.connect import codec_of; codec_of(os.environ);"
        "sys.exit(repr(sorted({'cryptography'} & set(sys.modules))))"
    )
    wording = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert wording.stderr.strip() == repr(imported)


class TestAKeyThatOnlyEncrypts:
    async def test_is_enough_to_write_what_workers_read(self):
        payload = await sealed(sealing("a"))
        assert payload.metadata[KEY_ID] == b"a"
        assert b"pears" not in payload.SerializeToString()
        assert await with_codec(codec("b", "a")).decode([payload], [RollbackRequest]) == [REQUEST]

    async def test_reads_neither_what_others_encrypted_nor_what_it_did_itself(self):
        for payload in (await sealed(codec("a")), await sealed(sealing("a"))):
            with pytest.raises(MissingKeyError, match='encrypted with key "a"'):
                await sealing("a").decode([payload])

    async def test_makes_another_payload_each_time(self):
        first, second = await sealing("a").encode([PLAIN, PLAIN])
        assert first.data != second.data
        assert await codec("a").decode([first, second]) == [PLAIN, PLAIN]

    async def test_whose_payload_was_changed_or_cut_gives_back_what_came(self):
        payload = await sealed(sealing("a"))
        for data in (payload.data[:-1] + b"x", payload.data[:20], b""):
            spoilt = Payload(metadata=payload.metadata, data=data)
            assert await codec("a").decode([spoilt]) == [spoilt]

    async def test_of_another_key_opens_nothing(self):
        payload = await sealed(sealing("a"))
        payload.metadata[KEY_ID] = b"b"
        assert await codec("b").decode([payload]) == [payload]

    async def test_is_printed_for_each_key_and_no_key_that_decrypts_with_it(self):
        keys = {"RUNBOOK_CODEC_KEYS": f"{key('a')}\n{key('b')}"}
        lines = public_keys(keys)
        assert [line.partition(" public:")[0] for line in lines] == ["a", "b"]
        assert not any(
            secret.split()[1] in "".join(lines) for secret in keys["RUNBOOK_CODEC_KEYS"].splitlines()
        )
        assert public_keys({"RUNBOOK_CODEC_KEYS": lines[0]}) == []
