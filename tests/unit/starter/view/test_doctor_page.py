"""``runbook doctor`` as it is typed and read; Temporal is away here."""

import json
from io import StringIO

import pytest
from rich.console import Console

from runbook_model.checks import Check
from starter.__main__ import run
from starter.commands.safety import doctor
from starter.exits import Exit

CATALOG = """
[environments.prod]
cluster = "ai-processor-prod"
[environments.staging]
cluster = "ai-processor-staging"
[services.ai-processor.prod]
ecs_service = "ai-processor-service-prod"
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nothing of the shell's settings reaches the command, and nothing listens at Temporal's address."""
    for name in ("RUNBOOK_CATALOG", "RUNBOOK_USER", "TEMPORAL_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")


@pytest.fixture
def say(capsys, tmp_path):
    def call(*words, catalog=CATALOG):
        file = tmp_path / "catalog.toml"
        if catalog is not None:
            file.write_text(catalog)
            words = (*words, "--catalog", str(file))
        code = run(("doctor", *words))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_without_temporal_the_catalog_is_still_reported_and_nothing_else_is_called_wrong(say):
    code, out, _ = say("--json")
    checks = json.loads(out)["checks"]
    assert code == Exit.TEMPORAL_UNREACHABLE
    assert {check["name"]: check["ok"] for check in checks if check["ok"] is not None} == {
        "catalog": True,
        "temporal": False,
    }
    assert {check["environment"] for check in checks} == {None, "prod", "staging"}
    assert all(set(check) >= {"environment", "name", "ok", "detail", "fix", "mend"} for check in checks)


def test_a_service_is_looked_at_where_it_runs(say):
    _, out, _ = say("--json", "--service", "ai-processor")
    assert {check["environment"] for check in json.loads(out)["checks"]} == {None, "prod"}


def test_a_catalog_that_is_wrong_is_red_with_the_command_that_shows_all(say):
    _, out, _ = say("--json", "--environment", "prod", catalog="environments = 3")
    (catalog,) = (check for check in json.loads(out)["checks"] if check["name"] == "catalog")
    assert catalog["ok"] is False
    assert "runbook catalog check" in catalog["fix"] == catalog["mend"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--environment", "moon"], 'no environment "moon" in the catalog; there are: prod, staging'),
        (["--service", "moon"], 'no service "moon" in the catalog; there are: ai-processor'),
        (
            ["--service", "ai-processor", "--environment", "staging"],
            'service "ai-processor" has no environment "staging"; it has: prod',
        ),
        (["prd"], 'no environment "prd" in the catalog (did you mean prod?); there are: prod, staging'),
        (["a;b"], "cannot be the name of an environment"),
    ],
)
def test_names_that_the_catalog_does_not_have_are_bad_input(say, words, said):
    code, out, err = say(*words)
    assert (code, out) == (Exit.BAD_INPUT, "")
    assert said in err


def test_without_a_catalog_it_asks_for_an_environment(say):
    code, _, err = say(catalog=None)
    assert code == Exit.BAD_INPUT
    assert "no environment is given; name one" in err
    code, out, _ = say("--environment", "prod", "--json", catalog=None)
    assert code == Exit.TEMPORAL_UNREACHABLE
    assert json.loads(out)["checks"][0]["ok"] is None


def test_programs_get_a_line_for_each_check(say):
    _, out, err = say("--environment", "prod")
    rows = [line.split("\t") for line in out.splitlines()]
    assert {len(row) for row in rows} == {6}
    assert ["-", "-", "temporal", "✘"] in [row[:4] for row in rows]
    assert "1 to fix" in err


def a_check(name, *, ok, detail="found", fix=None, service=None):
    return Check(environment="prod", service=service, name=name, ok=ok, detail=detail, fix=fix)


def page(*checks, width=80):
    console = Console(width=width, record=True, force_terminal=True, file=StringIO())
    console.print(doctor._page(checks))
    return console.export_text()


def test_the_page_has_a_part_for_each_place_and_the_fix_below_what_is_wrong():
    text = page(
        Check(name="temporal", ok=True, detail="answers"),
        a_check("cluster", ok=False, detail="there is no cluster x", fix="correct cluster"),
        a_check("database", ok=None, detail="not configured", service="shop"),
    )
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    assert lines == [
        "everywhere",
        " ✔ temporal answers",
        "prod",
        " ✘ cluster  there is no cluster x",
        "            → correct cluster",
        "prod/shop",
        " – database not configured",  # noqa: RUF001 - as it is shown
    ]


def test_what_says_the_same_is_one_line_that_names_all():
    checks = [a_check(name, ok=True, detail="has data") for name in ("prometheus-a", "tasks", "prometheus-b")]
    checks.insert(1, a_check("prometheus-c", ok=None, detail="no data"))
    groups = [[item.name for item in group] for group in doctor.grouped(checks)]
    assert groups == [["prometheus-a", "tasks", "prometheus-b"], ["prometheus-c"]]
    assert "also: tasks, b" in page(*checks)


def test_what_others_wrote_cannot_move_the_cursor():
    assert "\x1b[2J" not in page(a_check("cluster", ok=False, detail="\x1b[2Jhello", fix="\x1b[2Jx"))
