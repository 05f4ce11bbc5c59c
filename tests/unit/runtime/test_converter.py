import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from activities.runtime.converter import LenientPayloadConverter, Unreadable
from runbook_model.messages import Approval, RollbackRequest

CONVERTER = LenientPayloadConverter()


def a_payload(data: bytes, encoding: bytes = b"json/plain") -> Payload:
    return Payload(metadata={"encoding": encoding}, data=data)


@pytest.mark.parametrize("hints", [None, [object]])
@pytest.mark.parametrize(
    "payload",
    [
        a_payload(b"{by: bob}"),
        a_payload(b"\xff\xfe"),
        a_payload(b""),
        a_payload(b"yes", b"text/strange"),
        a_payload(b"\x00\x01", b"binary/encrypted"),
        Payload(data=b"no encoding"),
    ],
)
def test_what_cannot_be_decoded_and_has_no_type_arrives_as_unreadable(payload, hints):
    (value,) = CONVERTER.from_payloads([payload], hints)
    assert value == Unreadable(payload.data.decode(errors="replace"))


def test_no_more_than_its_start_is_kept():
    (value,) = CONVERTER.from_payloads([a_payload(b"{" * 5000)])
    assert value == Unreadable("{" * 200)


@given(st.binary(max_size=300), st.binary(max_size=12))
def test_no_payload_at_all_is_refused_where_no_type_is_declared(data, encoding):
    assert len(CONVERTER.from_payloads([a_payload(data, encoding)], [object])) == 1


@pytest.mark.parametrize("hints", [None, [object], [object, object]])
def test_of_several_payloads_none_is_lost_and_a_bad_one_spoils_no_other(hints):
    payloads = [a_payload(b'{"by": "bob"}'), a_payload(b"{")]
    assert CONVERTER.from_payloads(payloads, hints) == [{"by": "bob"}, Unreadable("{")]


def test_no_payloads_are_no_values():
    assert CONVERTER.from_payloads([], [object]) == []


def test_a_declared_type_is_read_as_such():
    (payload,) = CONVERTER.to_payloads([RollbackRequest(service="shop", environment="prod", to="1.0")])
    (value,) = CONVERTER.from_payloads([payload], [RollbackRequest])
    assert value == RollbackRequest(service="shop", environment="prod", to="1.0")


@pytest.mark.parametrize("data", [b"{", b"{}", b'{"by": ""}', b'"bob"'])
def test_a_declared_type_is_still_strict(data):
    with pytest.raises(Exception, match=r"validation error|could not be converted|Failed parsing"):
        CONVERTER.from_payloads([a_payload(data)], [Approval])


def test_a_declared_type_in_an_unknown_encoding_is_an_error():
    with pytest.raises(KeyError, match="Unknown payload encoding text/strange"):
        CONVERTER.from_payloads([a_payload(b"{}", b"text/strange")], [Approval])
