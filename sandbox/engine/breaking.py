"""``python -m sandbox break-local``: the switch of the running sandbox, from a shell."""

from __future__ import annotations

import argparse
import json
import os
import sys
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from sandbox.engine.model import USUALLY
from sandbox.names import DATABASE_SERVICE, SERVICE

PATH = "/_sandbox/compose"
TIMEOUT_SECONDS = 60.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("--service", default=SERVICE, choices=(SERVICE, DATABASE_SERVICE))
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--kill", action="store_true", help="kill the processes of its containers")
    how.add_argument("--hang", action="store_true", help="have the processes of its containers hang")
    how.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="recreate its containers with this environment; without any, as they were at first",
    )  # fmt: skip
    parser.add_argument("--restart", default=USUALLY, help=f"their restart policy; default: {USUALLY}")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Break the compose project of the sandbox at ``AWS_ENDPOINT_URL``, or put it right; 1 when it refuses."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        sys.stderr.write("sandbox: set AWS_ENDPOINT_URL to the sandbox's AWS address (see `up`)\n")
        return 2
    asked: dict[str, object] = {"service": options.service}
    if options.kill or options.hang:
        asked["action"] = "kill" if options.kill else "hang"
    else:
        asked["environment"] = dict(setting.partition("=")[::2] for setting in options.set)
        asked["restart"] = options.restart
    order = Request(  # noqa: S310 - the sandbox's own address
        os.environ["AWS_ENDPOINT_URL"] + PATH,
        json.dumps(asked).encode(),
        {"content-type": "application/json"},
    )
    try:
        with urlopen(order, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the same
            sys.stdout.write(answer.read().decode() + "\n")
    except HTTPError as refused:
        sys.stderr.write(f"sandbox: {json.loads(refused.read())['error']}\n")
        return 1
    except URLError as away:
        sys.stderr.write(f"sandbox: no sandbox answers at {os.environ['AWS_ENDPOINT_URL']}: {away.reason}\n")
        return 1
    return 0
