"""What is compared of a story: the calls and pages it left, without what differs between two plays of the same code.

A recording has two parts. ``structure`` is what the product did: AWS calls, states, outcomes, plans, kinds of findings, how many headings and
steps. ``texts`` is what it said meanwhile, sentence by sentence; words may get better, and then only these lines differ.
"""

import difflib
import json
import re
from itertools import groupby
from pathlib import Path

RECORDED = Path(__file__).parent / "recorded"
READS = ("Describe", "List", "Get", "Filter", "BatchGet", "Head")
PAGING = {"nextToken", "NextToken", "Marker", "Action", "Version"}
TEXT = "(text)"
WIDTH = 140

NOISE = {
    *("run_id", "ui", "trace_id", "trace", "plan_hash", "fingerprint"),
    *("started", "ended", "began", "since", "at", "opened", "closes", "respond_by", "next_call"),
    *("value", "excerpt", "live"),
}
"""Fields that name one play: ids, addresses, times and what was measured."""
ONCE_EACH = {"readings", "cited", "because", "look_at", "sessions"}
"""Lists of what was measured or found, which are longer the longer it takes; what is in them is compared once each."""

MASKS = tuple(
    (re.compile(pattern), mask)
    for pattern, mask in (
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00| UTC)?", "<time>"),
        (r"\b\d\d:\d\d:\d\d\b", "<time>"),
        (r"sha256:[0-9a-f]{12,64}", "sha256:<digest>"),
        (r"(ecs-svc/)\d+", r"\1<id>"),
        (r"(service-deployment/[\w-]+/[\w-]+/)[\w-]+", r"\1<id>"),
        (r"(service-revision/[\w-]+/[\w-]+/)\d+", r"\1<id>"),
        (r"\b(?!\d{12}\b)[0-9a-f]{12,64}\b", "<hex>"),
        (r"(?<=:\d/)[0-9a-f]{8}\b", "<task>"),
        (r"(?<=; it ran for )\d[\d.smhd ]*", "<duration>"),
        # What is usual is known only once the sandbox has run for a while.
        (r"^Prometheus has no such series in the window$", "0"),
        (r" \(usual [^)]*\)", ""),
        (r"running, (un)?healthy", "running, <health>"),
        # A service that hangs answers its health check late or not at all: which of them, the machine's load decides.
        (r"\bhealth (\d{3}\b|gave no answer within \S+ or broke off)", "health <answer>"),
        # Who holds how many connections comes and goes.
        (r"\bheld by: [^;]+", "held by: <sessions>"),
        # The most is named where samples differ.
        (r"(may have are used), at most \d+", r"\1"),
        (r"(127\.0\.0\.1|localhost):\d+", r"\1:<port>"),
        (r"/tmp/[\w./-]+", "<path>"),
    )
)
FIGURE = re.compile(
    r"(?<![\w.:/<-])-?\d+(\.\d+)?(?=$|[^\w.:-]|[smhd]\b|[.:](\s|$)|(MB|GB|MiB|KB|B|ms|x|th)\b)"
)
"""A number that stands for itself; not one within a name, a release or a version."""


def recording(left):
    """Split what a story left into what is compared."""
    pages = [without_repeats(page) for page in left["pages"]]
    return {
        "structure": {"calls": calls(left["calls"]), "pages": [structure(page) for page in pages]},
        "texts": [line for page in pages for line in texts(page, page["id"])],
    }


def without_repeats(page):
    """A page without what there is more of the longer it takes: polls in a row stand once, of each kind of reading the last."""
    steps = [list(repeats)[-1] for _, repeats in groupby(page["steps"], what)]
    readings = {reading["kind"]: reading for reading in page["readings"]}
    return page | {"steps": steps, "readings": list(readings.values())}


def what(step):
    return step["heading"], step["step"], step["state"]


def calls(made):
    """Changing calls in their order, with what they changed; of reads, which there were, as polls repeat them."""
    changes = [each for each in made if not is_read(each)]
    reads = {
        f"{each['service']} {each['action']}({', '.join(sorted(set(each['parameters']) - PAGING))})"
        for each in made
        if is_read(each)
    }
    return {"changes": [change(each) for each in changes], "reads": sorted(reads)}


def is_read(call):
    return call["action"].startswith(READS)


def change(call):
    found = {"call": f"{call['service']} {call['action']}", **plain(call["parameters"])}
    return found | ({"error": call["error"]} if call["error"] else {})


def plain(value):
    """A value without what differs by chance."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return masked(value) if isinstance(value, str) else value


def masked(text):
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return text


def is_prose(key, value):
    """Whether a value is for people: it has several words, is a heading, or says what was measured."""
    return key in {"heading", "said"} or (key not in {"query", "action"} and " " in value.strip())


def structure(value, key="", headings=None):
    """A page with its prose left out, and headings numbered in their order; what is empty is not shown."""
    if isinstance(value, dict):
        headings = numbered(value) if "steps" in value else headings
        shown = {name: each for name, each in sorted(value.items()) if name not in NOISE}
        shown = {name: structure(each, name, headings) for name, each in shown.items()}
        return {name: each for name, each in shown.items() if each not in (None, "", [], {})}
    if isinstance(value, list):
        shown = [structure(each, key, headings) for each in value]
        return once_each(shown) if key in ONCE_EACH else shown
    if not isinstance(value, str):
        return value
    if key == "heading" and headings:
        return headings.get(value, TEXT) if value else None
    if key == "findings":
        kind = value.partition(":")[0]
        return kind if " " not in kind else TEXT
    return TEXT if is_prose(key, value) else masked(value)


def numbered(page):
    """The headings of a page with their numbers, from 1 on."""
    headings = [step["heading"] for step in page.get("steps", ())] + [page.get("heading")]
    return {heading: number for number, heading in enumerate(dict.fromkeys(filter(None, headings)), 1)}


def once_each(values):
    return [json.loads(text) for text in sorted({json.dumps(each, sort_keys=True) for each in values})]


def texts(value, place, key=""):
    """Every sentence of a page with its place, figures masked."""
    if isinstance(value, dict):
        shown = {name: each for name, each in sorted(value.items()) if name not in NOISE | {"heading"}}
        headings = [
            f"{place} heading {number}: {text}"
            for text, number in (numbered(value) if "steps" in value else {}).items()
        ]
        return headings + [
            line for name, each in shown.items() for line in texts(each, f"{place} {name}", name)
        ]
    if isinstance(value, list):
        placed = [
            (each, place if key in ONCE_EACH else f"{place}[{number}]") for number, each in enumerate(value)
        ]
        lines = [line for each, where in placed for line in texts(each, where, key)]
        return sorted(set(lines)) if key in ONCE_EACH else lines
    if isinstance(value, str) and is_prose(key, value):
        return [f"{place}: {FIGURE.sub('#', masked(value))}"]
    return []


def recorded(story):
    """The recording of a story."""
    return json.loads(file_of(story).read_text())


def keep(story, found):
    """Write the recording of a story again."""
    RECORDED.mkdir(exist_ok=True)
    file_of(story).write_text(pretty(found) + "\n")


def file_of(story):
    return RECORDED / f"{story}.json"


def differences(story, found):
    """What differs from the recording, as a diff of each part that does."""
    different = {}
    for part, wanted in recorded(story).items():
        both = [pretty(each).splitlines() for each in (wanted, found[part])]
        if diff := "\n".join(difflib.unified_diff(*both, "recorded", "played", lineterm="", n=4)):
            different[part] = diff
    return different


def pretty(value, indent=""):
    """JSON in which whatever fits on a line stands on one."""
    short = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, dict | list) or (indent and len(indent + short) < WIDTH):
        return short
    deeper = f"{indent} "
    if isinstance(value, dict):
        inner = [f"{json.dumps(key)}: {pretty(each, deeper)}" for key, each in value.items()]
    else:
        inner = [pretty(each, deeper) for each in value]
    left, right = "{}" if isinstance(value, dict) else "[]"
    body = ",\n".join(deeper + each for each in inner)
    return f"{left}\n{body}\n{indent}{right}"
