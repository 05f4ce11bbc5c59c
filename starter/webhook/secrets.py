"""The bearer tokens that a server of ours is given, by its environment or in a file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from starter.exits import bad_input
from starter.webhook.guard import Token

TOKEN = "RUNBOOK_WEBHOOK_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = "RUNBOOK_WEBHOOK_TOKEN_FILE"  # noqa: S105 - likewise
CODEC_TOKEN = "RUNBOOK_CODEC_TOKEN"  # noqa: S105 - likewise


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
