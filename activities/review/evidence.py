"""What a history proves: readings, changes, decisions, messages, and what went wrong on the way. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from activities.review.histories import lines, object_of, objects, said, who
from activities.review.model import ChangeLine, DecisionLine, MessageLine, ReadingLine, TroubleLine, order_of

if TYPE_CHECKING:
    from activities.review.histories import Act, Course, Json, Noted, Received

INTENDED = "may have been made"
"""The state of a change that is not known to have been made."""
DECIDING = frozenset(
    {"approve", "decide", "abort", "abort_run", "pause", "resume", "acknowledge", "note", "close"}
)
RUNBOOK = "the runbook"


def readings_of(courses: Sequence[Course]) -> tuple[ReadingLine, ...]:
    """List every measurement, in the order in which they were taken."""
    found = [
        line
        for course in courses
        for act in course.acts
        if act.how == "done"
        for line in _readings(act, act.result, "")
    ]
    return tuple(sorted(found, key=lambda line: (line.at, line.cite.workflow, line.cite.event, line.what)))


def _readings(act: Act, value: Json, path: str) -> Iterator[ReadingLine]:
    """Find measurements in a result, however deep: each has its quality, source and time."""
    if isinstance(value, list):
        for item in value:
            yield from _readings(act, item, path)
    elif isinstance(value, dict):
        at = time_of(value.get("at"))
        if at is not None and {"quality", "source"} <= value.keys():
            yield _reading(act, value, path, at)
        for name, item in value.items():
            if isinstance(item, dict | list):
                yield from _readings(
                    act, item, name if name in {"readings", "samples"} else f"{path} {name}".strip()
                )


def _reading(act: Act, value: dict[str, Json], path: str, at: datetime) -> ReadingLine:
    return ReadingLine(
        at=at,
        what=said(value.get("kind")) or f"{act.name.removeprefix('read_')} {path}".strip().replace("_", " "),
        quality=said(value.get("quality")),
        detail=said(value.get("detail")) or said(value.get("why")) or _figures(value),
        source=said(value.get("source")),
        query=said(value.get("query")) or None,
        step=said(act.words),
        cite=act.proof,
    )


def _figures(value: dict[str, Json]) -> str:
    number = value.get("value")
    if isinstance(number, int | float):
        return f"{number:.6g}"
    values = value.get("values")
    if isinstance(values, dict):
        return ", ".join(
            f"{name} {item:.6g}" for name, item in sorted(values.items()) if isinstance(item, int | float)
        )
    if isinstance(value.get("count"), int):
        return f"{value['count']} found"
    shown = (
        f"{name} {said(value.get(name))}" for name in ("release", "began", "before") if said(value.get(name))
    )
    return ", ".join(shown)


def changes_of(courses: Sequence[Course]) -> tuple[ChangeLine, ...]:
    """List the changes, as each run noted them before and after it made them; a child's are not listed twice."""
    found: list[ChangeLine] = []
    for course in courses:
        theirs = Counter(key for child in courses if child.parent == course.workflow for key in _final(child))
        found += _changes(course, theirs)
    return tuple(sorted(found, key=order_of))


def _final(course: Course) -> list[tuple[str, str, str]]:
    noted = [objects(memo.values["changes"]) for memo in course.memos if "changes" in memo.values]
    return [_named(change) for change in noted[-1]] if noted else []


def _named(change: dict[str, Json]) -> tuple[str, str, str]:
    return said(change.get("action")), said(change.get("before")), said(change.get("after"))


def _changes(course: Course, theirs: Counter[tuple[str, str, str]]) -> list[ChangeLine]:
    """Follow the list of changes through the memos in which the run kept it."""
    kept: list[ChangeLine] = []
    for memo in (item for item in course.memos if "changes" in item.values):
        now = []
        skipped = theirs.copy()
        for change in objects(memo.values["changes"]):
            name = _named(change)
            earlier = next((item for item in kept if item not in now and _name(item) == name), None)
            if earlier is None and skipped[name] > 0 and change.get("certain") is not False:
                skipped[name] -= 1
                continue
            now.append(_followed(earlier, change, memo))
        kept = now
    return kept


def _name(line: ChangeLine) -> tuple[str, str, str]:
    return line.action, line.before, line.after


def _followed(earlier: ChangeLine | None, change: dict[str, Json], memo: Noted) -> ChangeLine:
    action, before, after = _named(change)
    certain = change.get("certain") is not False
    state = said(change.get("undone")) or ("made" if certain else INTENDED)
    made = earlier.made if earlier else None
    if made is None and (certain or change.get("undone")):
        made = memo.at
    if earlier is None:
        earlier = ChangeLine(
            at=memo.at, action=action, before=before, after=after, state=state, cite=memo.cite
        )
    failed = change.get("undo_failed") is True
    return earlier.model_copy(update={"state": state, "made": made, "undo_failed": failed})


def decisions_of(courses: Sequence[Course]) -> tuple[DecisionLine, ...]:
    """List what people decided, what was planned and why, and which causes were named."""
    found = [line for course in courses for line in (*_people(course), *_plans(course), *_causes(course))]
    seen: set[tuple[str, str]] = set()
    kept = []
    # A parent repeats its child's findings; the child's come first because children end first.
    for line in sorted(found, key=lambda line: (line.at, line.cite.workflow, line.cite.event, line.what)):
        if line.by != RUNBOOK or (line.by, line.what) not in seen:
            kept.append(line)
        seen.add((line.by, line.what))
    return tuple(kept)


def _people(course: Course) -> Iterator[DecisionLine]:
    for received in course.received:
        if received.name in DECIDING:
            yield DecisionLine(
                at=received.at,
                by=who(received.given),
                what=_decision(received),
                evidence=_evidence(received),
                cite=received.cite,
            )


def _decision(received: Received) -> str:
    given = received.message
    what = said(given.get("option")) or received.name.removesuffix("_run").replace("decide", "approve")
    if given.get("keep") is not None:
        what += ", keeping what was changed" if given["keep"] else ", undoing what was changed"
    return what


def _evidence(received: Received) -> tuple[str, ...]:
    given = received.message
    plan = said(given.get("plan_hash"))
    texts = ("comment", "reason", "impact", "root_cause", "eta", "observation")
    wording = [f"{key.replace('_', ' ')}: {said(given.get(key))}" for key in texts if said(given.get(key))]
    return tuple([f"plan {plan}"] if plan else []) + tuple(wording)


def _plans(course: Course) -> Iterator[DecisionLine]:
    shown: set[str] = set()
    for memo in course.memos:
        gate = object_of(memo.values.get("checkpoint"))
        plan = gate.get("plan")
        if not isinstance(plan, dict):
            continue
        if (name := said(gate.get("plan_hash"))) not in shown:
            shown.add(name)
            headline = f"planned: {said(plan.get('headline'))} (plan {name})"
            because = lines(plan.get("because"))
            yield DecisionLine(at=memo.at, by=RUNBOOK, what=headline, evidence=because, cite=memo.cite)
    last, name = course.result.get("plan"), said(course.result.get("plan_hash"))
    if isinstance(last, dict) and name not in shown and course.ended and course.end:  # nobody had to be asked
        headline, because = f"planned: {said(last.get('headline'))} (plan {name})", lines(last.get("because"))
        yield DecisionLine(at=course.ended, by=RUNBOOK, what=headline, evidence=because, cite=course.end)


def _causes(course: Course) -> Iterator[DecisionLine]:
    if course.ended and course.end:
        for finding in lines(course.result.get("findings")):
            yield DecisionLine(at=course.ended, by=RUNBOOK, what=f"found: {finding}", cite=course.end)
        if verdict := said(course.result.get("verdict")):
            why = said(course.result.get("summary"))
            yield DecisionLine(
                at=course.ended, by=RUNBOOK, what=f"judged: {verdict}", evidence=(why,), cite=course.end
            )


def messages_of(courses: Sequence[Course]) -> tuple[MessageLine, ...]:
    """List what people were sent, and where."""
    return tuple(
        sorted(
            (
                _message(act)
                for course in courses
                for act in course.acts
                if act.name in {"announce", "notify"}
            ),
            key=order_of,
        )
    )


def _message(act: Act) -> MessageLine:
    given = object_of(act.given)
    about = object_of(given.get("announcement"))
    result = said(object_of(act.result).get("detail")) or (
        "sent" if act.how == "done" else f"{act.how}: {said(act.why)}".rstrip(": ")
    )
    number = f"#{about['number']}" if "number" in about else ""
    run = said(str(about.get("run") or "")[:8])
    return MessageLine(
        at=act.at,
        kind=said(about.get("kind")) or "notice",
        channel=said(given.get("channel")) or "every channel of the environment",
        mark=f"{said(about.get('incident')) or said(given.get('run'))}{'@' if run else ''}{run}{number}",
        result=result,
        cite=act.proof,
    )


def troubles_of(courses: Sequence[Course]) -> tuple[TroubleLine, ...]:
    """List what was tried more than once or failed, and where a worker failed."""
    found = [
        TroubleLine(
            at=act.at,
            what=f"{said(act.words)}: {act.how}",
            attempts=act.attempts,
            why=said(act.why),
            cite=act.proof,
        )
        for course in courses
        for act in course.acts
        if act.attempts > 1 or act.how in {"failed", "timed out"}
    ]
    found += [
        TroubleLine(at=at, what="A worker's turn at the workflow", attempts=1, why=said(why), cite=cite)
        for course in courses
        for at, why, cite in course.stumbles
    ]
    return tuple(sorted(found, key=order_of))


def time_of(value: Json) -> datetime | None:
    """Return a time that JSON holds as text."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
