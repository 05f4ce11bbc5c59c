"""``runbook codec``: decrypt for the Temporal UI."""

from __future__ import annotations

import asyncio
import os

import click

from activities.telemetry.log_lines import log_to_stderr
from starter.caller import Caller, example, takes_caller
from starter.client.connect import UI_DEFAULT, codec_of, public_keys
from starter.exits import Exit, bad_input
from starter.printing import answer, note, say
from starter.processes.listening import Address, parse_address, serve
from starter.target_options import listen_option
from starter.webhook.codec_server import CodecServer, application, origins_of
from starter.webhook.secrets import load_codec_tokens

LISTEN = "127.0.0.1:8234"


@click.command("codec", epilog=example("runbook codec", "runbook codec --listen 127.0.0.1:9000"))
@listen_option(LISTEN)
@click.option(
    "--public",
    is_flag=True,
    help="Print the keys that only encrypt, a line each, for a webhook that cannot decrypt; serves nothing.",
)
@takes_caller("--json")
def command(caller: Caller, *, listen: str, public: bool) -> Exit:
    """Decrypt histories for the Temporal UI with the keys of RUNBOOK_CODEC_KEYS, and encrypt what people send from there.

    Give its address to the UI as the codec server (TEMPORAL_CODEC_ENDPOINT, or the glasses in the UI's bar). Callers need
    the bearer token of RUNBOOK_CODEC_TOKEN; browsers get a cookie for it at /sign-in, and may call it only from pages of
    RUNBOOK_UI. Without a token it decrypts for everyone who can reach it, and listens on loopback only.
    """
    address = parse_address(listen)
    codec = codec_of(os.environ)
    if codec.encrypts_by is None:
        raise bad_input(
            "RUNBOOK_CODEC_KEYS is not set",
            "without keys nothing is encrypted, and there is nothing to decrypt",
        )
    if public:
        _print_public(as_json=caller.as_json)
        return Exit.DONE
    origins = origins_of(os.environ.get("RUNBOOK_UI") or UI_DEFAULT)
    tokens = load_codec_tokens(os.environ)
    if not tokens and not address.is_loopback:
        raise bad_input(
            f"--listen {listen} is open to others, and RUNBOOK_CODEC_TOKEN is not set",
            "make a token with `openssl rand -hex 24`, or listen on 127.0.0.1",
        )
    server = CodecServer(codec, origins, tokens)
    asyncio.run(_serve(address, server, origins, as_json=caller.as_json))
    return Exit.DONE


def _print_public(*, as_json: bool) -> None:
    lines = public_keys(os.environ)
    if as_json:
        answer({"keys": lines})
    else:
        say("\n".join(lines))


async def _serve(address: Address, server: CodecServer, origins: list[str], *, as_json: bool) -> None:
    log_to_stderr("starter")

    def ready(url: str) -> None:
        note(f"codec ready: {url}, for pages of {origins[0]}")
        if as_json:
            answer({"codec": url, "health": f"{url}/healthz"})

    await serve(address, application(server, origins), ready)
