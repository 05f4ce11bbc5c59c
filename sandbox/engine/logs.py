"""What containers wrote, framed as the engine frames two streams on one connection."""

from __future__ import annotations

import struct

from sandbox.engine.container import Container
from sandbox.engine.errors import BadParameterError, NotSimulatedError
from sandbox.engine.model import Stream, moment
from sandbox.engine.reading import Call

_NUMBER: dict[Stream, int] = {"stdout": 1, "stderr": 2}


def framed(stream: Stream, content: bytes) -> bytes:
    """Put the engine's head before what a stream says."""
    return struct.pack(">BxxxL", _NUMBER[stream], len(content)) + content


def logs(call: Call, container: Container) -> bytes:
    """Return the lines that were asked for, a frame each.

    Raises:
        BadParameterError: no stream was chosen.
        NotSimulatedError: lines that are still to come were asked for.
    """
    streams = {stream for stream in _NUMBER if call.flag(stream)}
    if not streams:
        raise BadParameterError("Bad parameters: you must choose at least one stream")
    if call.flag("follow"):
        raise NotSimulatedError("logs that continue")
    since, until = ((call.number(name) or 0) * 1e9 for name in ("since", "until"))
    lines = [
        line
        for line in list(container.lines)
        if line.stream in streams and line.at >= since and (not until or line.at <= until)
    ]
    tail = call.query.get("tail", "all")
    if tail.isdecimal():
        lines = lines[max(0, len(lines) - int(tail)) :]
    dated = call.flag("timestamps")
    return b"".join(
        framed(item.stream, (f"{moment(item.at)} ".encode() if dated else b"") + item.text + b"\n")
        for item in lines
    )
