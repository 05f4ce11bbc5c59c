"""``runbook completion``: the script by which a shell completes what is typed."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from starter.caller import Caller, example, takes_caller

PROGRAM = "runbook"
VARIABLE = "_RUNBOOK_COMPLETE"
"""Where click's scripts say what they want."""


@click.command(
    "completion",
    epilog=example(
        'eval "$(runbook completion bash)"       # in ~/.bashrc',
        'eval "$(runbook completion zsh)"        # in ~/.zshrc',
        "runbook completion fish > ~/.config/fish/completions/runbook.fish",
    ),
)
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"]))
@takes_caller()
def command(caller: Caller, shell: str) -> None:
    """Print the shell completion script.

    Completes commands, options, procedures, targets of the catalog and ids of open runs. Where Temporal does not answer
    within a second, ids are left out.
    """
    del caller
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    click.echo(kind(click.Group(), {}, PROGRAM, VARIABLE).source())
