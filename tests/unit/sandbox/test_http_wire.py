import asyncio

import pytest

from sandbox.machine.wire import WireError, read_request, read_response


def reader_of(octets):
    reader = asyncio.StreamReader()
    reader.feed_data(octets)
    reader.feed_eof()
    return reader


async def test_a_chunked_body_is_passed_on_as_it_came():
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    message = await read_response(
        reader_of(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"HTTP/1.1 next"),
        b"GET",
    )
    assert message.body == chunks


async def test_an_answer_without_a_length_lasts_until_the_connection_ends():
    message = await read_response(reader_of(b"HTTP/1.1 200 OK\r\n\r\nall of this"), b"GET")
    assert message.body == b"all of this"
    assert message.closes


async def test_an_answer_to_head_has_no_body_whatever_it_announces():
    message = await read_response(reader_of(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), b"HEAD")
    assert message.body == b""


async def test_a_connection_that_ends_between_requests_is_no_error():
    assert await read_request(reader_of(b"")) is None


async def test_a_connection_that_ends_in_a_body_is_an_error():
    with pytest.raises(WireError, match="in the middle of a body"):
        await read_request(reader_of(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc"))


async def test_a_body_above_the_limit_is_refused():
    with pytest.raises(WireError, match="too large"):
        await read_request(reader_of(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"))


async def test_http_1_0_closes_unless_it_asks_not_to():
    assert (await read_request(reader_of(b"GET / HTTP/1.0\r\n\r\n"))).closes
    assert not (await read_request(reader_of(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))).closes
