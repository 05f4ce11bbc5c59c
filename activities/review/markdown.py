"""A review as a page: the questions of the runbook's post-incident review, each with its answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from activities.review.histories import NOBODY
from runbook_model.text.durations import format_duration
from runbook_model.text.plain_text import code, link, markdown

if TYPE_CHECKING:
    from activities.review.model import Cite, Moment, ReadingLine, Review

CLASSES = {
    "immediate": "Immediate fixes",
    "long-term": "Long-term improvements",
    "monitoring": "Monitoring enhancements",
    "documentation": "Documentation updates",
}

NOTHING = "Nothing."


def page(review: Review) -> str:
    """Write the page."""
    writer = _Writer(review)
    return (
        "\n".join([*writer.head(), *writer.events(), *writer.causes(), *writer.actions(), *writer.evidence()])
        + "\n"
    )


class _Writer:
    def __init__(self, review: Review) -> None:
        self._review = review
        self._runs = {
            (source.workflow, source.run): number for number, source in enumerate(review.sources, 1)
        }

    def head(self) -> Iterator[str]:
        """Say what it was, and who looks after the review."""
        review = self._review
        yield f"# Post-incident review: {markdown(review.service)} in {markdown(review.environment)}, {review.detected.at:%Y-%m-%d}"
        yield ""
        yield (
            "Blameless: what people did made sense with what they could see at the time. This page asks what the "
            "system let happen, and what would have helped."
        )
        yield ""
        yield from table(
            ("", ""),
            [
                ("Written about", f"{code(review.subject)}, started for {markdown(review.opened_by)}"),
                ("Procedures", markdown(", ".join(review.procedures)) or "none"),
                ("Severity", markdown(review.severity)),
                ("Impact", markdown(review.impact)),
                ("Outcome", markdown(review.outcome or "open: this is a draft")),
                ("Summary", markdown(review.summary)),
                ("Review owner", markdown(review.owner)),
                ("Review due", f"{review.due:%Y-%m-%d}" if review.due else "five days after the end"),
                *([("Trace", self._trace())] if review.trace_id else []),
            ],
        )

    def events(self) -> Iterator[str]:
        """Answer the page's questions about the timeline."""
        review = self._review
        yield from ("", "## Timeline of events")
        yield from self._answer(
            "When did the incident start?", review.started, "No sign of it is in the history."
        )
        yield from self._answer("When was it detected?", review.detected)
        if review.started and review.detected.at > review.started.at:
            yield f"That is {format_duration(review.detected.at - review.started.at)} after it started."
        elif review.started:
            yield "Nothing shows trouble before it was noticed: it started then, or earlier."
        yield from ("", "### What actions were taken?", "")
        yield from table(
            ("Time", "Change", "Before", "After", "State", ""),
            [
                self._row(each.at, each.cite, each.action, each.before, each.after, each.state)
                for each in review.changes
            ],
            "Nothing was changed.",
        )
        yield from self._answer("When was it resolved?", review.resolved, "It was not.")
        yield from self._times()
        yield from ("", "### Minute by minute", "")
        yield "⟨1·62⟩ names event 62 of the first history in the list at the end of this page."
        yield ""
        yield from (
            f"- {stamp(each.at)} {markdown(each.text)} {self._cite(each.cite)}" for each in review.timeline
        )

    def _times(self) -> Iterator[str]:
        review, whole = self._review, self._review.shares.whole
        marks = [
            ("Started", review.started),
            ("Detected", review.detected),
            ("Taken up by a procedure", review.taken_up),
            ("Acknowledged by a person", review.acknowledged),
            ("Mitigated", review.mitigated),
            ("Resolved", review.resolved),
        ]
        yield from ("", "### How long did it take?", "")
        yield from table(
            ("", "Time", "After detection", "How it is known", ""),
            [
                (
                    name,
                    stamp(each.at),
                    after(each.at, review.detected.at),
                    markdown(each.what),
                    self._cite(each.cite),
                )
                if each
                else (name, NOBODY, "", "", "")
                for name, each in marks
            ],
        )
        yield ""
        yield (
            f"Of {format_duration(whole)} in all, the procedures waited for people for {format_duration(review.shares.people)} "
            f"and worked for {format_duration(review.shares.machine)}; "
            f"for {format_duration(review.shares.neither)} nothing was under way."
        )
        if review.waits:
            yield ""
            yield from table(
                ("Waited for a person", "From", "For", "Answer", ""),
                [
                    (
                        markdown(each.what),
                        stamp(each.opened),
                        format_duration(each.lasted) if each.lasted is not None else "still",
                        markdown(each.answer),
                        self._cite(each.cite),
                    )
                    for each in review.waits
                ],
            )

    def causes(self) -> Iterator[str]:
        """Answer the page's questions about the cause."""
        review = self._review
        yield from ("", "## Root cause analysis", "", "### What was the underlying cause?", "")
        if review.root_cause:
            cause = review.root_cause
            yield f"{markdown(cause.text)} (said by {markdown(cause.said_by)}, to be confirmed) {self._cite(cause.cite)}"
        else:
            yield "Unknown. Nobody gave a cause, and no procedure found one."
        yield from ("", "### Why did monitoring not catch it earlier?", "")
        yield from bullets(review.missed, "The history shows nothing that monitoring missed.")
        yield from ("", "### What can be improved?", "")
        yield from bullets(self._hints(), "Ask what would have made this shorter, or needless.")

    def _hints(self) -> list[str]:
        """Say where the time went: that is where to start."""
        review = self._review
        hints = [f"Waiting for people took {format_duration(review.shares.people)}."] if review.waits else []
        hints += [f"This step took long: {each.text}." for each in review.longest]
        if review.troubles:
            hints.append(f"{len(review.troubles)} steps did not go at the first attempt, see below.")
        return hints

    def actions(self) -> Iterator[str]:
        """List the action items by their classes."""
        yield from ("", "## Action items")
        for kind, title in CLASSES.items():
            yield from ("", f"### {title}", "")
            items = [item for item in self._review.items if item.kind == kind]
            yield from (
                f"- [{'x' if item.state.startswith(('done', 'skipped')) else ' '}] {markdown(item.what)}"
                f"{f' ({markdown(item.state)})' if item.state != 'open' else ''}"
                f"{f': {markdown(item.why)}' if item.why else ''} {self._cite(item.cite)}"
                for item in items
            )
            if not items:
                yield "None came out of the history; the review adds its own."

    def evidence(self) -> Iterator[str]:
        """Show everything that the rest was concluded from."""
        review = self._review
        yield from ("", "## Evidence", "", "### Decisions", "")
        yield from (
            self._decision(each.at, each.by, each.what, each.evidence, each.cite) for each in review.decisions
        )
        yield from ([] if review.decisions else [NOTHING])
        yield from ("", "### Readings", "")
        yield from table(
            ("Time", "What", "Said", "Detail", "Source", ""),
            [self._reading(each) for each in _rows(review.readings)],
        )
        yield from ("", "### Messages", "")
        yield from table(
            ("Time", "Message", "Channel", "Result", ""),
            [
                self._row(each.at, each.cite, f"{each.kind} {each.mark}", each.channel, each.result)
                for each in review.messages
            ],
            "Nobody was notified.",
        )
        yield from ("", "### Retries and failures", "")
        yield from bullets(
            [
                f"{stamp(each.at)} {each.what}, {each.attempts} {'attempt' if each.attempts == 1 else 'attempts'}{f': {each.why}' if each.why else ''}"
                for each in review.troubles
            ],
            "Everything went at the first attempt.",
            [self._cite(each.cite) for each in review.troubles],
        )
        if review.rejected:
            yield from ("", "### Refused messages", "")
            yield from bullets(review.rejected, NOTHING)
        yield from ("", "### Histories", "")
        yield from table(
            ("", "Workflow", "Run", "Type", "Events"),
            [
                (str(number), code(each.workflow), code(each.run), markdown(each.kind), str(each.events))
                for number, each in enumerate(review.sources, 1)
            ],
        )
        yield from (f"\nLost: {markdown(each)}; its history is no longer kept." for each in review.lost)

    def _trace(self) -> str:
        return link(self._review.trace_id or "", self._review.trace)

    def _answer(self, question: str, moment: Moment | None, unknown: str = "") -> Iterator[str]:
        yield from ("", f"### {question}", "")
        yield f"{stamp(moment.at)}: {markdown(moment.what)} {self._cite(moment.cite)}" if moment else unknown

    def _decision(self, at: datetime, by: str, what: str, evidence: Sequence[str], cite: Cite) -> str:
        wording = f"- {stamp(at)} {markdown(by)}: {markdown(what)} {self._cite(cite)}"
        return "\n".join([wording, *(f"  - {markdown(each)}" for each in evidence)])

    def _reading(self, rows: tuple[ReadingLine, ReadingLine, int]) -> tuple[str, ...]:
        first, last, count = rows
        when = stamp(first.at) if count == 1 else f"{stamp(first.at)} to {stamp(last.at)}, {count} times"
        detail = last.detail if count == 1 else f"last: {last.detail}"
        asked = f"{last.source}: {last.query}" if last.query else last.source
        texts = (last.what, last.quality, detail, asked)
        return (when, *map(markdown, texts), self._cite(last.cite))

    def _row(self, at: datetime, cite: Cite, *texts: str) -> tuple[str, ...]:
        return (stamp(at), *map(markdown, texts), self._cite(cite))

    def _cite(self, cite: Cite) -> str:
        """Name an event: the history's number below, and the event's in it."""
        return f"⟨{self._runs[cite.workflow, cite.run]}·{cite.event}⟩"


def _rows(readings: Iterable[ReadingLine]) -> Iterator[tuple[ReadingLine, ReadingLine, int]]:
    """Show a row of readings of one step that say the same as one; the JSON has each of them."""
    by_what = sorted(
        readings, key=lambda line: (line.cite.workflow, line.cite.run, line.cite.event, line.what)
    )
    rows = []
    for _, group in groupby(by_what, key=lambda line: (line.cite, line.what, line.quality)):
        some = list(group)
        rows.append((some[0], some[-1], len(some)))
    yield from sorted(rows, key=lambda row: (row[0].at, row[0].cite.workflow, row[0].cite.event, row[0].what))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], otherwise: str = NOTHING) -> Iterator[str]:
    """Write a table; ``otherwise`` where it would be empty."""
    if not rows:
        yield otherwise
        return
    yield f"| {' | '.join(titles)} |"
    yield f"|{' --- |' * len(titles)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def bullets(texts: Sequence[str], otherwise: str, cites: Sequence[str] = ()) -> Iterator[str]:
    """Write a list, each line with its source behind it; ``otherwise`` where it would be empty."""
    ends = [f" {cite}" for cite in cites] or [""] * len(texts)
    yield from (f"- {markdown(text)}{end}" for text, end in zip(texts, ends, strict=True))
    if not texts:
        yield otherwise


def stamp(at: datetime) -> str:
    """Write a time."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def after(at: datetime, detected: datetime) -> str:
    """Write how long after it was detected, or before."""
    if at == detected:
        return ""
    return format_duration(at - detected) if at > detected else f"{format_duration(detected - at)} before"
