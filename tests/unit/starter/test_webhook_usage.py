"""What ``runbook webhook`` says before it receives anything."""

import socket

import pytest

from starter.__main__ import run

CATALOG = """
[environments.prod]
cluster = "ai-processor-prod"
[services.ai-processor.prod]
ecs_service = "ai-processor-service-prod"
"""


@pytest.fixture
def say(capsys, monkeypatch, tmp_path):
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG)
    for name in (
        "RUNBOOK_CATALOG",
        "RUNBOOK_WEBHOOK_TOKEN",
        "RUNBOOK_WEBHOOK_TOKEN_FILE",
        "TEMPORAL_ADDRESS",
    ):
        monkeypatch.delenv(name, raising=False)

    def call(*words, catalog=file, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = run(["webhook", *(["--catalog", str(catalog)] if catalog else []), *words])
        return code, capsys.readouterr().err

    return call


def test_it_does_not_start_without_a_token(say):
    code, err = say("--listen", "127.0.0.1:0")
    assert code == 2
    assert "RUNBOOK_WEBHOOK_TOKEN is not set" in err
    assert "openssl rand -hex 24" in err


def test_it_does_not_start_with_an_empty_token_file(say, tmp_path):
    file = tmp_path / "token"
    file.write_text("\n")
    code, err = say(RUNBOOK_WEBHOOK_TOKEN_FILE=str(file), RUNBOOK_WEBHOOK_TOKEN="not this one")
    assert code == 2
    assert f"RUNBOOK_WEBHOOK_TOKEN_FILE = {file} is empty" in err


def test_it_does_not_start_without_a_catalog(say, tmp_path):
    code, err = say(catalog=None, RUNBOOK_WEBHOOK_TOKEN="x")
    assert (code, "needs a catalog" in err) == (2, True)
    code, err = say(catalog=tmp_path / "nowhere.toml", RUNBOOK_WEBHOOK_TOKEN="x")
    assert (code, "cannot read the catalog" in err) == (2, True)


def test_an_address_that_is_none_is_reported(say):
    code, err = say("--listen", "8080", RUNBOOK_WEBHOOK_TOKEN="x")
    assert code == 2
    assert "--listen 8080" in err
    assert "HOST:PORT" in err


def test_an_address_that_is_taken_is_reported_in_one_line(say):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, err = say("--listen", f"127.0.0.1:{port}", RUNBOOK_WEBHOOK_TOKEN="x")
    assert code == 2
    assert f"127.0.0.1:{port}" in err
    assert len(err.splitlines()) == 1
