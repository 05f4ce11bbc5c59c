"""``runbook review``: the post-incident review of an incident, or of a procedure that ran without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from temporalio.client import Client

from activities.review.activities import gather
from activities.review.markdown import page
from activities.review.writing import write
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.targets import page_of
from starter.names import short_id
from starter.printing import answer, note, say, write_file
from starter.target_options import run_argument

if TYPE_CHECKING:
    from activities.review.model import Review


@click.command(
    "review",
    epilog=example(
        "runbook review prod/ai-processor -o review.md", "runbook review prod/ai-processor --json"
    ),
)
@run_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of stdout.",
)
@takes_caller("--run", "--json")
def command(caller: Caller, run: str, output: Path | None) -> None:
    """Write the post-incident review, as Markdown or with --json as JSON.

    ID is ENVIRONMENT/SERVICE or a workflow id. The review is made from Temporal's histories alone, without a worker,
    and is the same each time. While the run is open it is a draft.
    """
    review = converse(lambda client: _write(client, caller, run))
    if output is None:
        answer(json.loads(review.to_json())) if caller.as_json else say(page(review).rstrip())
        return
    write_file(output, review.to_json() if caller.as_json else page(review))
    note(f"written to {output}")


async def _write(client: Client, caller: Caller, text: str) -> Review:
    run = await page_of(client, text, caller.run_id)
    if run.parent:
        note(f"this is the review of {run.id} alone; for all of it: runbook review {short_id(run.parent)}")
    return write(await gather(client, run.id, run.run_id))
