"""What stands between the network and the receiver: who may call, how often, how many at once, and how much they say."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from starter.exits import bad_input

if TYPE_CHECKING:
    from starlette.requests import Request

TOKEN = "RUNBOOK_WEBHOOK_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = "RUNBOOK_WEBHOOK_TOKEN_FILE"  # noqa: S105 - likewise
CODEC_TOKEN = "RUNBOOK_CODEC_TOKEN"  # noqa: S105 - likewise


@dataclass(frozen=True)
class Limits:
    """How much the receiver takes; what is more is refused, and sent again by Alertmanager where that may help."""

    body_bytes: int = 4 * 1024 * 1024
    """About 4,000 alerts."""
    body_seconds: float = 10.0
    calls_per_second: float = 100.0
    burst: int = 400
    """Calls that may come at once after a quiet time."""
    at_once: int = 16
    """Calls that are worked on at the same time …"""
    wait_seconds: float = 2.0
    """… and how long another one waits for its turn."""
    incident_calls_per_second: float = 10.0
    incident_calls_burst: int = 1000
    """Calls that one incident gets at once: between two of them it must find the time to continue as a new run."""
    incident_bytes_per_second: float = 64 * 1024
    incident_bytes_burst: int = 8 * 1024 * 1024
    """Of alerts that one incident gets at once after a quiet time: its history is bounded, and Temporal ends it beyond."""
    delivery_seconds: float = 8.0
    """How long Temporal may take for all alerts of a call: Alertmanager gives up after ten seconds at the earliest."""


class Refusal(Exception):  # noqa: N818 - an answer, which is no error of ours
    """The answer to a call that is not taken."""

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


def refused(refusal: Refusal) -> JSONResponse:
    """Answer with a refusal."""
    # Whatever of the body was not read never will be: the connection is of no use any more.
    headers = {"Connection": "close"}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(refusal.retry_after)))
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": str(refusal)}, refusal.status, headers)


def no_such_place(places: str) -> dict[Any, Callable[[Request, Exception], JSONResponse]]:
    """Return the handlers of an application that name its places to whoever asks for another."""

    def answer(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        said = {"error": f"{error.detail}: there are {places}"}
        return JSONResponse(said, error.status_code, error.headers)

    return {HTTPException: answer}


class Token(NamedTuple):
    """A bearer token, and the environment whose alerts it carries; None: it carries those of all."""

    text: str
    environment: str | None = None


class Tokens:
    """The bearer tokens of those who may call, as digests."""

    def __init__(self, tokens: Iterable[Token], named: str = "the webhook's RUNBOOK_WEBHOOK_TOKEN") -> None:
        self._digests = [(_digest(token.text.encode()), token.environment) for token in tokens]
        self._named = named

    def check(self, authorization: bytes) -> str | None:
        """Compare what a call brings with every token, in a time that says nothing of them.

        Returns:
            the only environment that it speaks for; None for all of them.

        Raises:
            Refusal: 401.
        """
        scheme, _, offered = authorization.partition(b" ")
        digest = _digest(offered.strip())
        found = [item for known, item in self._digests if hmac.compare_digest(digest, known)]
        if scheme.lower() != b"bearer" or not found:
            raise Refusal(401, f"wrong or missing bearer token: it must be {self._named}")
        return None if None in found else found[0]


class Rate:
    """A bucket that fills with time; each call takes one from it."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._left = float(burst)
        self._at = clock()

    def take(self, amount: int = 1, what: str = "calls") -> None:
        """Count a call, or what it brings; more than ever fits is taken when the bucket is full.

        Raises:
            Refusal: 503, with the time after which it is taken.
        """
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        missing = min(amount, self._burst) - self._left
        if missing > 0:
            raise Refusal(503, f"too many {what}", retry_after=missing / self._per_second)
        self._left -= amount


class Turns:
    """Lets so many calls be worked on at once; the next ones wait a little, before they may send their body."""

    def __init__(self, at_once: int, wait_seconds: float) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._wait_seconds = wait_seconds

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Take a turn.

        Raises:
            Refusal: 503, when none comes in time.
        """
        try:
            await asyncio.wait_for(self._free.acquire(), self._wait_seconds)
        except TimeoutError:
            raise Refusal(503, "too many calls at once", retry_after=1) from None
        try:
            yield
        finally:
            self._free.release()


def check_content(request: Request) -> None:
    """Look at what the body claims to be; whether it is JSON, it says itself, whatever its type is called.

    Raises:
        Refusal: 400 when it is compressed.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(400, "the body must not be compressed")


async def read_body(request: Request, limits: Limits) -> bytes:
    """Read the body, and no further than its limit.

    Raises:
        Refusal: 413 when it is larger, whatever its length claims; 408 when it comes too slowly.
        ClientDisconnect: the caller is gone.
    """
    too_large = Refusal(413, f"the body has more than {limits.body_bytes} bytes")
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:20]) > limits.body_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                if len(body) + len(chunk) > limits.body_bytes:
                    raise too_large
                body += chunk
    except TimeoutError:
        raise Refusal(408, f"the body did not arrive within {limits.body_seconds:.0f} s") from None
    return bytes(body)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def load_tokens(environment: Mapping[str, str], environments: Collection[str]) -> list[Token]:
    """Return the webhook's tokens; a file may hold several, a line each, so that one can be replaced without a gap.

    A token may be bound to an environment: by the name of its variable, or by the environment's name before it in the file.

    Args:
        environment: the process's variables.
        environments: those that the catalog has.

    Raises:
        CliError: there is none, one is bound to no environment, or the file cannot be read.
    """
    tokens = [_of_line(line) for line in _lines(environment, TOKEN)]
    tokens += _bound(environment)
    for token in tokens:
        if token.environment is not None and token.environment not in environments:
            raise bad_input(
                f'a webhook token is bound to "{token.environment}", which the catalog does not have',
                f"bind it to one of {', '.join(sorted(environments))}",
            )
    if not tokens:
        given = environment.get(TOKEN_FILE)
        source = f"{TOKEN_FILE} = {given} is empty" if given else f"{TOKEN} is not set"
        raise bad_input(
            f"{source}: the webhook takes no alerts without a token", "make one with `openssl rand -hex 24`"
        )
    return tokens


def load_codec_tokens(environment: Mapping[str, str]) -> list[Token]:
    """Return the codec server's tokens, which may be none.

    Raises:
        CliError: the file cannot be read.
    """
    return [Token(line) for line in _lines(environment, CODEC_TOKEN)]


def _lines(environment: Mapping[str, str], name: str) -> list[str]:
    """Return what a file holds, else the variable."""
    file = environment.get(f"{name}_FILE")
    lines = _read(f"{name}_FILE", file) if file else [environment.get(name, "")]
    return [line.strip() for line in lines if line.strip()]


def _of_line(line: str) -> Token:
    environment, _, text = line.rpartition(" ")
    return Token(text, environment.strip() or None)


def _bound(environment: Mapping[str, str]) -> Iterator[Token]:
    """Yield the tokens whose variable names an environment, as ``RUNBOOK_WEBHOOK_TOKEN_PROD_EU`` does ``prod-eu``."""
    for name in sorted(environment):
        text = environment[name].strip()
        if name.startswith(f"{TOKEN}_") and name != TOKEN_FILE and text:
            yield Token(text, name.removeprefix(f"{TOKEN}_").lower().replace("_", "-"))


def _read(variable: str, file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise bad_input(f"{variable} = {file}: cannot read it: {why}") from None
