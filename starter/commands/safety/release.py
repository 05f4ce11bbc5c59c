"""``runbook release``: the ledger of releases, shown and corrected."""

from __future__ import annotations

from typing import Any, Literal

import click
from temporalio.client import Client

from runbook_model.messages import StartSignature
from runbook_model.releases.release import Release
from runbook_model.text.durations import format_duration
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.known_targets import check_target
from starter.client.ledger import read_ledger
from starter.client.run_view import stamp
from starter.client.runs import Run
from starter.client.signing import approvals_of, sign_order, signs_in
from starter.exits import bad_input
from starter.names import Pair, Words
from starter.printing import answer, clock, list_rows, note
from starter.signing import KEY, SigningOptions, takes_signing
from starter.target_options import target_argument
from workflows.decisions.rollback.plan import find_release
from workflows.ledger import SIGNED_WITHIN, LedgerEntry, LedgerPage, LedgerRequest

COLUMNS = ("revision", "images", "state")


@click.group(
    "release",
    epilog=example(
        "runbook release list prod/ai-processor",
        "runbook release mark prod/ai-processor 1.1.0 bad --reason 'uploads fail'",
    ),
)
def command() -> None:
    """List a service's releases, and mark them good or bad."""


@command.command(
    "list",
    short_help="List a service's releases, newest first.",
    epilog=example("runbook release list prod/ai-processor", "runbook release list prod/ai-processor --json"),
)
@target_argument
@takes_caller("--catalog", "--json")
def list_releases(caller: Caller, target: Pair) -> None:
    """List the releases of a service, newest first: which one runs, which are good, which are bad.

    E/S is ENVIRONMENT/SERVICE.
    """
    request = _request(caller, target)
    converse(lambda client: _show(client, caller, request))


@command.command(
    "mark",
    epilog=example("runbook release mark prod/ai-processor 1.4.2 good --reason 'the database was slow'"),
)
@target_argument
@click.argument("release", metavar="RELEASE")
@click.argument("judgement", metavar="good|bad", type=click.Choice(["good", "bad"]))
@click.option("--reason", metavar="T", type=Words(), required=True, help="Why, for the record.")
@click.option(
    "--with",
    "joined",
    metavar="ID",
    help="Sign the same mark that somebody else has started, where several must.",
)
@takes_signing(elsewhere=False)
@takes_caller("--as", "--catalog", "--json")
def mark_release(
    caller: Caller,
    target: Pair,
    release: str,
    judgement: Literal["good", "bad"],
    *,
    reason: str,
    joined: str | None,
    signing: SigningOptions,
) -> None:
    """Mark a release good or bad. The newest mark counts.

    E/S is ENVIRONMENT/SERVICE. RELEASE is a revision, family:revision, ARN, image tag or digest. A rollback never
    chooses a bad release; it trusts a good one however short it ran.
    """
    if not (0 < len(release) <= 500 and release.isprintable()):
        raise bad_input("RELEASE needs a revision, family:revision, ARN, image tag or digest")
    request = _request(caller, target).model_copy(
        update={"release": release, "judgement": judgement, "reason": reason}
    )
    if signs_in(caller, signing, target.environment):
        converse(lambda client: _mark_signed(client, caller, request, signing, joined))
    elif joined:
        raise bad_input("--with is for a signature", f"give --sign KEYFILE, or set {KEY}")
    else:
        converse(lambda client: _show(client, caller, request))


def _request(caller: Caller, target: Pair) -> LedgerRequest:
    check_target(caller.catalog, target)
    return LedgerRequest(service=target.service, environment=target.environment, by=caller.name)


async def _mark_signed(
    client: Client, caller: Caller, request: LedgerRequest, signing: SigningOptions, joined: str | None
) -> None:
    """Find the revision first: what is signed names it."""
    listed = await read_ledger(
        client, request.model_copy(update={"release": None, "judgement": None, "reason": None})
    )
    name = request.release or ""
    found = find_release([entry.release for entry in listed.entries], name)
    if not isinstance(found, Release):
        raise bad_input(f"no release {name} is in the list", "`runbook release list` shows their revisions")
    order = {"revision": found.revision, "judgement": request.judgement}

    async def sign(run: Run) -> StartSignature:
        signed = await sign_order(
            client,
            caller,
            signing,
            StartSignature(by=caller.name),
            kind="release-mark",
            order=order,
            run=run,
            environment=request.environment,
            service=request.service,
        )
        assert signed is not None
        if wanted > 1 and not joined:
            what = f"{request.environment}/{request.service} {found.revision} {request.judgement}"
            note(f"{wanted} people must sign this; the next one, within {format_duration(patience)}:")
            note(f"  runbook release mark {what} --reason … --with {run.id} --sign KEYFILE")
        return signed

    approvals = approvals_of(caller, request.environment)
    wanted = approvals.needed if approvals else 1
    patience = approvals.timeout if approvals and wanted > 1 else SIGNED_WITHIN
    marked = request.model_copy(update={"release": found.revision})
    _print(caller, await read_ledger(client, marked, sign, signed_within=patience, joined=joined))


async def _show(client: Client, caller: Caller, request: LedgerRequest) -> None:
    _print(caller, await read_ledger(client, request))


def _print(caller: Caller, page: LedgerPage) -> None:
    if caller.as_json:
        answer(document(page))
    else:
        list_rows(COLUMNS, [(_row(entry), _colour(entry)) for entry in page.entries])


def document(page: LedgerPage) -> list[dict[str, Any]]:
    """Return the JSON of the ledger, newest release first."""
    return [
        {
            "revision": entry.release.revision,
            "task_definition": entry.release.task_definition,
            "container": entry.release.container,
            "images": [image.model_dump(mode="json") for image in entry.release.images],
            "running": entry.running,
            "active": entry.release.active,
            "judgement": judged.verdict.value if (judged := entry.release.judged) else None,
            "by": judged.source if judged else None,
            "at": stamp(judged.at) if judged else None,
        }
        for entry in page.entries
    ]


def _row(entry: LedgerEntry) -> tuple[str, str, str]:
    release = entry.release
    images = ", ".join(image.tag or image.digest or image.name for image in release.own)
    states = [
        "running" if entry.running else "",
        f"{judged.verdict} by {judged.source} at {clock(judged.at)}" if (judged := release.judged) else "",
        "" if release.active else "inactive",
    ]
    return release.revision, images, ", ".join(filter(None, states)) or "-"


def _colour(entry: LedgerEntry) -> str:
    return "red" if entry.bad else "green" if entry.good else ""
