"""``runbook drill`` as it is typed and read; Temporal is away here."""

import pytest

from runbook_model.checks import Check, Drilled
from starter.__main__ import run
from starter.commands.safety import drill
from starter.exits import Exit
from tests.ecs_facts import NOW

GOOD, RED = True, False
CATALOG = """
[environments.prod]
cluster = "prod"
[services]
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nothing of the shell's settings reaches the command, and nothing listens at Temporal's address."""
    for name in ("RUNBOOK_CATALOG", "RUNBOOK_USER", "TEMPORAL_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")


@pytest.mark.parametrize("words", [(), ("--schedule", "0 6 * * *"), ("--schedule", "off")])
def test_without_temporal_it_says_so(capsys, words):
    assert run(("drill", "--environment", "prod", *words)) == Exit.TEMPORAL_UNREACHABLE
    out, err = capsys.readouterr()
    assert out == ""
    assert "start it or set TEMPORAL_ADDRESS" in err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "no environment is given"),
        (("--environment", "moon", "--catalog", "CATALOG"), 'no environment "moon" in the catalog'),
        (("prd", "--catalog", "CATALOG"), "did you mean prod?"),
        (("..prod",), "cannot be the name of an environment"),
        (("--environment", "../prod"), "cannot be the name of an environment"),
        (("prod/ai-processor", "--schedule", "off"), "--schedule is for whole environments"),
    ],
)
def test_an_environment_must_be_one(capsys, tmp_path, words, why):
    (tmp_path / "catalog.toml").write_text(CATALOG)
    words = [str(tmp_path / "catalog.toml") if word == "CATALOG" else word for word in words]
    assert run(("drill", *words)) == Exit.BAD_INPUT
    assert why in capsys.readouterr().err


def a_check(service, name, ok, detail):
    fix = f"correct {name}" if ok is False else None
    return Check(environment="prod", service=service, name=name, ok=ok, detail=detail, fix=fix)


def test_a_service_that_would_work_is_a_line_with_its_plan_and_another_says_what_to_fix(capsys):
    found = Drilled(
        environment="prod",
        at=NOW,
        since=NOW,
        services=("shop", "till"),
        checks=(
            a_check(None, "cluster", GOOD, "ACTIVE"),
            a_check("shop", "service", GOOD, "runs"),
            a_check("shop", "rollback-plan", GOOD, "shop:2 → shop:1"),
            a_check("till", "health", RED, "503"),
            a_check("till", "rollback-plan", GOOD, "till:2 → till:1"),
        ),
    )
    drill._print("prod", found)
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "prod\t-\tcluster\t✔\tACTIVE\t-",
        "prod\tshop\trollback-plan\t✔\tshop:2 → shop:1\t-",
        "prod\ttill\thealth\t✘\t503\tcorrect health",
    ]
    assert err.strip().endswith("nothing changed")
