"""``runbook review``: the post-incident review of an incident, or of a procedure that ran without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from activities.review.gathering import gather
from activities.review.markdown import page
from activities.review.writing import write
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.targets import page_of
from starter.exits import bad_input
from starter.printing import answer, note, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from activities.review.model import Review


@click.command(
    "review",
    epilog=example(
        "runbook review prod/ai-processor -o review.md", "runbook review prod/ai-processor --json"
    ),
)
@click.argument("run", metavar="ID")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it there instead of stdout.",
)
@takes_caller
def command(caller: Caller, run: str, output: Path | None) -> None:
    """Print the post-incident review, as Markdown or with --json as JSON.

    ID is a workflow id, or ENVIRONMENT/SERVICE. It is written from Temporal's histories alone, needs no worker, and is
    the same however often it is written. Of what has not ended it is a draft.
    """
    review = converse(lambda client: _write(client, caller, run))
    if output is None:
        answer(json.loads(review.to_json())) if caller.as_json else say(page(review).rstrip())
        return
    try:
        output.write_text(review.to_json() if caller.as_json else page(review), encoding="utf-8")
    except OSError as error:
        raise bad_input(f"{output}: cannot be written: {error.strerror}") from error
    note(f"written to {output}")


async def _write(client: Client, caller: Caller, text: str) -> Review:
    run = await page_of(client, text, caller.run_id)
    if run.parent:
        note(f"this is about {run.id} alone; the whole of it: runbook review {run.parent}")
    return write(await gather(client, run.id, run.run_id))
