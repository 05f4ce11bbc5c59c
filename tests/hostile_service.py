"""A service whose answers are made to cost whoever asks as much as they can."""

import socket
import threading
import time
import zlib
from contextlib import contextmanager, suppress
from functools import cache

PIECE = bytes(64 * 1024)
BOMB_MIB = 64
OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = b"transfer-encoding: chunked\r\n\r\n"


def _chunk(body):
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


@cache
def _packed():
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packing.compress(PIECE) for _ in range(BOMB_MIB * 16)) + packing.flush()


def bomb(connection, _):
    """Some dozen KiB of gzip that become ``BOMB_MIB`` of zeros."""
    packed = _packed()
    head = f"content-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n"
    connection.sendall(OK + head.encode() + packed)


def endless(connection, _):
    """A body without an end, as fast as it is taken."""
    connection.sendall(OK + ENDLESS)
    while True:
        connection.sendall(_chunk(PIECE))


def dripping(connection, _):
    """A body of a byte now and then, so that there is never a long silence."""
    connection.sendall(OK + ENDLESS)
    while True:
        connection.sendall(_chunk(b"x"))
        time.sleep(0.05)


def dripping_head(connection, _):
    """A head that never ends, a byte now and then."""
    connection.sendall(OK + b"x-header: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def huge_head(connection, _):
    """Headers without an end, as fast as they are taken."""
    connection.sendall(OK)
    while True:
        connection.sendall(b"x-header: " + b"x" * 8000 + b"\r\n")


def informing(connection, _):
    """Announcements of an answer that never comes, as fast as they are taken."""
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n" * 100)


def endless_program(connection, request):
    """A container engine in which a program writes without an end."""
    if b"/start " in request:
        connection.sendall(OK + b"content-type: application/vnd.docker.raw-stream\r\n\r\n")
        while True:
            connection.sendall(b"\x01\0\0\0" + len(PIECE).to_bytes(4) + PIECE)
    body = b'{"Id": "1", "ExitCode": null, "ApiVersion": "1.47"}'
    connection.sendall(OK + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


@contextmanager
def hostile(answer):
    """Serve such answers; yields host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=reply, args=(connection,), daemon=True).start()

        def reply(connection):
            with connection, suppress(OSError):
                answer(connection, connection.recv(64 * 1024))

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
