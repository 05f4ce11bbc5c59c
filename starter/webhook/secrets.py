"""The bearer tokens that the webhook is given, by its environment or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starter.exits import bad_input

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "RUNBOOK_WEBHOOK_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = "RUNBOOK_WEBHOOK_TOKEN_FILE"  # noqa: S105 - likewise


def load_tokens(environment: Mapping[str, str]) -> list[str]:
    """Return the tokens; a file may hold several, a line each, so that one can be replaced without a gap.

    Raises:
        CliError: there is none, or the file cannot be read.
    """
    if environment.get(TOKEN_FILE):
        tokens = _read(environment[TOKEN_FILE])
        source = f"{TOKEN_FILE} = {environment[TOKEN_FILE]} is empty"
    else:
        tokens = [environment.get(TOKEN, "").strip()]
        source = f"{TOKEN} is not set"
    tokens = [token for token in tokens if token]
    if not tokens:
        raise bad_input(
            f"{source}: the webhook takes no alerts without a token", "make one with `openssl rand -hex 24`"
        )
    return tokens


def _read(file: str) -> list[str]:
    try:
        return [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise bad_input(f"{TOKEN_FILE} = {file}: cannot read it: {why}") from None
