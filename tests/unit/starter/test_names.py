"""Names and ids as people type them."""

import pytest

from runbook_model.text.plain_text import harmless
from starter.caller import acting_as
from starter.exits import CliError, Exit
from starter.names import Pair, Scope, parse_id, parse_pair, parse_scope, short_id


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("prod/ai-processor", Pair("prod", "ai-processor")),
        ("remediation/prod/ai-processor", "remediation/prod/ai-processor"),
        ("remediation/prod/ai-processor/rollback", "remediation/prod/ai-processor/rollback"),
        ("brake/prod", "brake/prod"),
        ("drill/monthly", "drill/monthly"),
        ("some-workflow", "some-workflow"),
    ],
)
def test_an_id_is_a_pair_or_a_workflow_id(text, meant):
    assert parse_id(text) == meant


@pytest.mark.parametrize("text", ["", " ", "a b", "a\nb", "-x", "x" * 301, "a'b"])
def test_what_can_be_no_id_is_refused(text):
    with pytest.raises(CliError, match="is not an id") as error:
        parse_id(text)
    assert error.value.code is Exit.BAD_INPUT


def test_a_target_needs_both_names():
    with pytest.raises(CliError, match="write ENVIRONMENT/SERVICE"):
        parse_pair("prod")


@pytest.mark.parametrize(
    ("text", "meant"),
    [("prod", Scope("prod")), ("prod/ai-processor", Scope("prod", "ai-processor"))],
)
def test_a_scope_is_an_environment_or_a_target(text, meant):
    assert parse_scope(text) == meant


@pytest.mark.parametrize(
    ("workflow_id", "short"),
    [
        ("remediation/prod/ai-processor", "prod/ai-processor"),
        ("incident/prod/ai-processor", "prod/ai-processor"),
        ("incident/prod/ai-processor/rollback", "prod/ai-processor"),
        ("plan/prod/ai-processor/rollback/1a2b3c4d", "plan/prod/ai-processor/rollback/1a2b3c4d"),
        ("hold/prod/ai-processor", "hold/prod/ai-processor"),
    ],
)
def test_incidents_and_remediations_have_a_short_id(workflow_id, short):
    assert short_id(workflow_id) == short


def test_who_acts_is_the_option_then_the_variable_then_the_os_user(monkeypatch):
    monkeypatch.setenv("LOGNAME", "os-user")
    monkeypatch.delenv("RUNBOOK_USER", raising=False)
    assert acting_as(None) == "os-user"
    monkeypatch.setenv("RUNBOOK_USER", "variable")
    assert acting_as(None) == "variable"
    assert acting_as("option") == "option"


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[31m", "x" * 201])
def test_a_name_that_cannot_be_recorded_is_refused(name):
    with pytest.raises(CliError, match="is not a name"):
        acting_as(name)


def test_what_others_wrote_cannot_steer_the_terminal():
    assert harmless("a\x1b[2Jb\rc\u202ed") == "ab\nc\ufffdd"
