"""Standing statements as people write them, as a worker verifies them, and as doctor looks at them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from activities.authority.warrants import Standing
from activities.doctor.looking import NotSetError, WrongError
from activities.doctor.signers import look_at_standing
from runbook_model.calls import update_service
from runbook_model.catalog.catalog import parse_catalog
from runbook_model.checks import Place
from starter.__main__ import run
from tests.unit.authority.signing import NAMESPACE, keygen, new_key, parse_signers

if TYPE_CHECKING:
    from pathlib import Path

CATALOG = parse_catalog(
    """
[environments.prod]
cluster = "prod"
approvals = { needed = 2, people = ["bob", "carol", "dave"], signed = true, requester_may = true }
[environments.staging]
cluster = "staging"
[services.shop.prod]
ecs_service = "shop"
""",
    "catalog.toml",
)
ORDER = (
    "--target",
    "prod/shop",
    "--procedure",
    "high-latency",
    "--action",
    "UpdateService",
    "--most-tasks",
    "4",
)


class Office:
    """Bob and Carol, their keys, the folder of a worker, and its file of signers."""

    def __init__(self, folder: Path, capsys):
        self.capsys = capsys
        self.folder = folder / "standing"
        self.folder.mkdir()
        self.keys = {name: new_key(folder, name=name) for name in ("bob", "carol")}
        lines = (f"{name} {' '.join(self.public(key))}" for name, key in self.keys.items())
        self.signers = folder / "signers"
        self.signers.write_text("\n".join(lines))
        self.file = self.folder / "more.json"

    def public(self, key):
        return key.with_name(f"{key.name}.pub").read_text().split()[:2]

    def says(self, *words):
        code = run(["standing", *words])
        out, err = self.capsys.readouterr()
        return code, out, err

    def signs(self, by, *words):
        return self.says("sign", str(self.file), *words, "--as", by, "--sign", str(self.keys[by]))

    def covers(self, tasks, procedure="high-latency"):
        target = CATALOG.target("shop", "prod")
        call = update_service(target, desiredCount=tasks)
        return Standing(self.folder).covers(
            target, procedure, [call], namespace="default",
            signers=parse_signers(self.signers.read_bytes(), "signers"), now=datetime.now(UTC),
        )  # fmt: skip

    def doctor(self, environment="prod"):
        place = Place(environment=environment, where=CATALOG.environments[environment])
        return look_at_standing(place, self.signers, self.folder, "default")


@pytest.fixture
def office(tmp_path, capsys, monkeypatch):
    for name in (
        "RUNBOOK_CATALOG",
        "RUNBOOK_USER",
        "RUNBOOK_SIGNING_KEY",
        "RUNBOOK_STANDING",
        "TEMPORAL_NAMESPACE",
    ):
        monkeypatch.delenv(name, raising=False)
    return Office(tmp_path, capsys)


def test_an_order_counts_once_as_many_people_have_signed_it_as_the_policy_needs(office):
    code, out, err = office.signs("bob", *ORDER, "--until", "90d")
    assert (code, "signed by bob" in out) == (0, True)
    assert "high-latency may change prod/shop without asking" in err
    assert "2 different people must" in office.covers(4).why
    assert office.signs("carol")[0] == 0
    assert office.covers(4).name == "more"
    assert "it allows 4 tasks at most" in office.covers(5).why
    assert "it is not for rollback" in office.covers(4, "rollback").why
    assert office.doctor().startswith("more until ")


def test_it_may_be_signed_on_another_machine(office, tmp_path):
    code, printed, _ = office.says(
        "sign", str(office.file), *ORDER, "--until", "90d", "--as", "bob", "--print-statement"
    )
    assert (code, json.loads(printed)["kind"]) == (0, "standing")
    statement = tmp_path / "decision.json"
    statement.write_text(printed)
    keygen("-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(office.keys["bob"]), str(statement))
    elsewhere = ("--statement", str(statement), "--signature", f"{statement}.sig")
    assert office.says("sign", str(office.file), *elsewhere)[0] == 0
    assert office.signs("carol")[0] == 0
    assert office.covers(4).name == "more"
    other = office.folder / "other.json"
    office.says("sign", str(other), *ORDER, "--until", "30d", "--print-statement")
    assert "is about something else" in office.says("sign", str(other), *elsewhere)[2]


def test_nobody_signs_twice_and_what_was_agreed_to_stays(office):
    office.signs("bob", *ORDER, "--until", "90d")
    code, _, err = office.signs("bob")
    assert (code, "bob has signed" in err) == (5, True)
    code, _, err = office.signs("carol", "--most-tasks", "9")
    assert (code, "says what is agreed to" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--target", "prod/shop"), "a new one needs --procedure, --action, --until"),
        ((*ORDER, "--until", "soon"), "--until soon is no time"),
        ((*ORDER, "--until", "2020-01-01T00:00:00Z"), "is past"),
        ((*ORDER, "--until", "1d", "--target", "staging/shop"), "is for one environment"),
        ((*ORDER, "--until", "1d", "--procedure", "high-latenc"), "did you mean high-latency"),
        ((*ORDER, "--until", "1d", "--action", "UpdateServic"), "did you mean UpdateService"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_before_it_is_signed(office, words, why):
    code, _, err = office.signs("bob", *words)
    assert (code, why in err, office.file.exists()) == (2, True, False), err


def test_without_a_key_nothing_is_signed(office):
    code, _, err = office.says("sign", str(office.file), *ORDER, "--until", "90d")
    assert (code, "nothing signs it" in err) == (2, True)


def test_the_list_has_each_order_and_who_signed_it(office, monkeypatch):
    office.signs("bob", *ORDER, "--until", "90d")
    (office.folder / "broken.json").write_text("{}")
    monkeypatch.setenv("RUNBOOK_STANDING", str(office.folder))
    code, out, err = office.says("list", "--json")
    (found,) = json.loads(out)
    assert (code, found["name"], found["signed_by"], found["most_tasks"]) == (0, "more", ["bob"], 4)
    assert "broken.json" in err


def test_a_folder_that_is_not_there_is_no_empty_list(office, monkeypatch):
    monkeypatch.setenv("RUNBOOK_STANDING", str(office.folder / "mistyped"))
    code, _, err = office.says("list")
    assert (code, "mistyped is not a folder; correct RUNBOOK_STANDING" in err) == (2, True)


def test_doctor_names_what_does_not_count_and_what_ends_within_a_month(office):
    with pytest.raises(NotSetError, match="names no folder with any"):
        office.doctor()
    office.signs("bob", *ORDER, "--until", "20d")
    with pytest.raises(WrongError, match=r"more.json: 1 person signed by 1 key, and 2 different people must"):
        office.doctor()
    office.signs("carol")
    ends = datetime.now(UTC) + timedelta(days=20)
    with pytest.raises(WrongError, match=f"more.json ends within 30 days, at {ends:%Y-%m-%d}"):
        office.doctor()
    with pytest.raises(NotSetError, match="decisions are not signed"):
        office.doctor("staging")
