"""The documentation says what the code says: reference pages are fresh, and every link leads somewhere."""

import ast
import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from activities.telemetry import metric_names
from docs.writing.figures import prometheus_name
from docs.writing.pages import FOLDER, pages
from docs.writing.source import table

ROOT = Path(__file__).parents[2]
PRODUCT = ("activities", "workflows", "starter")
LINK = re.compile(r"!?\[[^\]]*\]\((?!https?:|mailto:)([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`[^`\n]*`")
READINGS_OF_HISTOGRAMS = ("_bucket", "_sum", "_count")


@cache
def written():
    return pages()


@cache
def markdown():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def sources():
    return [
        file
        for folder in PRODUCT
        for file in sorted((ROOT / folder).rglob("*.py"))
        if file.name != "metric_names.py"
    ]


def anchors(page):
    """What GitHub makes of headings: lower case, words joined by dashes, everything else left out."""
    text = FENCED.sub("", page.read_text())
    found, seen = set(), {}
    for title in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if anchor in seen else anchor)
        seen[anchor] = seen.get(anchor, 0) + 1
    return found


class TestReference:
    @pytest.mark.parametrize("name", sorted(pages()))
    def test_a_page_says_what_the_code_says(self, name):
        assert (FOLDER / name).read_text() == written()[name], (
            "stale: run `make docs` and commit docs/reference"
        )

    def test_there_is_no_page_that_nobody_writes(self):
        assert {page.name for page in FOLDER.glob("*.md")} == set(written())

    def test_every_key_of_the_catalog_says_what_it_is(self):
        rows = re.findall(r"^\| `(\w+)` \|.*\|([^|]*)\|$", written()["catalog.md"], re.MULTILINE)
        assert len(rows) > 60
        assert [key for key, said in rows if not said.strip()] == []

    def test_every_verb_of_the_command_line_has_its_section(self):
        sections = re.findall(r"^## runbook (.+)$", written()["cli.md"], re.MULTILINE)
        assert {"start", "catalog check", "release mark", "webhook"} <= set(sections)

    def test_every_variable_that_the_product_names_is_among_the_settings(self):
        named = {
            node.value
            for file in [*sources(), ROOT / "worker.py"]
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch(r"RUNBOOK_[A-Z_]+[A-Z]|DOCKER_HOST", node.value)
        }
        assert len(named) > 15
        assert sorted(name for name in named if f"`{name}`" not in written()["settings.md"]) == []

    def test_a_bar_in_a_cell_does_not_end_it(self):
        assert table(("a",), [("x | y",)]).splitlines()[-1] == "| x \\| y |"


class TestFigures:
    def test_no_figure_is_made_next_to_the_list(self):
        unlisted = [
            str(file.relative_to(ROOT))
            for file in sources()
            if re.search(r"\.create_(counter|gauge|histogram)", file.read_text())
        ]
        assert unlisted == []

    def test_every_figure_of_the_list_is_counted_somewhere(self):
        names = {name for name, var in vars(metric_names).items() if isinstance(var, metric_names.Metric)}
        text = "\n".join(file.read_text() for file in sources())
        assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", text)] == []
        assert len(names) == len(metric_names.ALL)

    def test_dashboards_and_alerts_ask_for_figures_that_there_are(self):
        known = {prometheus_name(item) for item in metric_names.ALL}
        asked = set()
        for board in (ROOT / "deploy/grafana/dashboards").glob("*.json"):
            for panel in json.loads(board.read_text())["panels"]:
                asked |= {
                    name for each in panel["targets"] for name in re.findall(r"runbook_\w+", each["expr"])
                }
        rules = (ROOT / "deploy/prometheus/self-alerts.yml").read_text().replace("runbook_url", "")
        asked |= set(re.findall(r"runbook_[a-z_]+", rules))
        assert len(asked) > 10
        bare = {re.sub(rf"({'|'.join(READINGS_OF_HISTOGRAMS)})$", "", name) for name in asked}
        assert sorted(bare - known) == []


class TestLinks:
    @pytest.mark.parametrize("page", markdown(), ids=lambda page: str(page.relative_to(ROOT)))
    def test_every_link_of_a_page_leads_somewhere(self, page):
        lost = []
        for link in LINK.findall(INLINE.sub("", FENCED.sub("", page.read_text()))):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
                lost.append(link)
        assert lost == []

    def test_the_index_names_every_page(self):
        index = (ROOT / "docs/README.md").read_text()
        named = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in LINK.findall(index)}
        there = {page for page in markdown() if (ROOT / "docs") in page.parents} - {ROOT / "docs/README.md"}
        assert sorted(str(page.relative_to(ROOT)) for page in there - named) == []
