"""What people are sent, field by field, and what a team's own templates may do."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.chat.wording import BUILT_IN, LONGEST_MESSAGE, Templates
from runbook_model.incident.announcements import Announcement, Notice

AT = datetime(2026, 3, 1, 3, 4, 5, tzinfo=UTC)
KINDS = ("started", "update", "resolved", "escalation")


def announcement(kind="started", **fields) -> Announcement:
    return Announcement(
        **{
            "incident": "incident/prod/shop",
            "number": 2,
            "kind": kind,
            "title": "High Error Rate: shop in prod",
            "service": "shop",
            "environment": "prod",
            "status": "mitigating",
            "at": AT,
            "started": AT - timedelta(minutes=7),
            **fields,
        }
    )


def text(kind="started", flavour="txt", templates=None, **fields) -> str:
    return (templates or Templates()).announce(announcement(kind, **fields), flavour).text


FULL = {
    "ask": "Approve: runbook approve prod/shop",
    "impact": "checkout fails",
    "observations": ("12 % of requests fail", "release shop:7 is new"),
    "done": ("read the deployments",),
    "current_action": "waits for an approval",
    "next_steps": ("verify recovery",),
    "eta": "10 minutes",
    "resolution": ("rolled back to shop:6",),
    "root_cause": "shop:7",
    "duration": timedelta(minutes=7),
    "next_update": AT + timedelta(minutes=15),
    "links": {"Temporal": "http://ui.test/namespaces/default"},
    "contact": "On-call SRE",
}
FIELDS_OF_THE_PAGE = {
    "started": (
        "🔴 INCIDENT: High Error Rate: shop in prod", "Time: 2026-03-01 03:04:05 UTC", "Environment: prod",
        "Impact: checkout fails", "Status: Mitigating", "- 12 % of requests fail", "- release shop:7 is new",
        "- verify recovery",
    ),
    "update": (
        "🟡 UPDATE: High Error Rate: shop in prod", "Time: 2026-03-01 03:04:05 UTC", "Status: Mitigating",
        "- read the deployments", "- waits for an approval", "ETA: 10 minutes",
        "Next update due: 2026-03-01 03:19:05 UTC",
    ),
    "resolved": (
        "🟢 RESOLVED: High Error Rate: shop in prod", "Time: 2026-03-01 03:04:05 UTC", "Duration: 7m",
        "Status: Mitigating", "- rolled back to shop:6", "- shop:7", "- verify recovery",
    ),
    "escalation": ("🔴 ESCALATION: High Error Rate: shop in prod", "To: On-call SRE", "began at 2026-03-01 02:57:05 UTC"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_the_page_is_reported(kind):
    said = text(kind, **FULL).splitlines()
    missing = [line for line in FIELDS_OF_THE_PAGE[kind] if not any(line in each for each in said)]
    assert missing == []


@pytest.mark.parametrize("flavour", ["txt", "slack"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_human_must_do_next_stands_in_the_first_line(kind, flavour):
    words = Templates().announce(announcement(kind, **FULL), flavour)
    assert "Approve: runbook approve prod/shop" in words.first_line


@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_knows_says_so(kind):
    said = text(kind)
    assert "Impact: unknown" in said
    assert "None" not in said
    if kind == "resolved":
        assert "Duration: unknown" in said
        assert "Root cause:\n- unknown" in said
    if kind == "update":
        assert "ETA: unknown" in said


def test_slack_gets_the_same_fields_in_its_own_markup():
    said = text("started", "slack", **FULL)
    assert "*Impact:* checkout fails" in said
    assert "<http://ui.test/namespaces/default|Temporal>" in said


HOSTILE = "<!channel> @here &lt; <https://evil.test|click> @Channel"


def test_text_of_people_is_escaped_for_slack_and_pings_nobody():
    said = text("started", "slack", impact=HOSTILE, observations=(HOSTILE,))
    for line in (line for line in said.splitlines() if "evil" in line):
        assert "&lt;!channel&gt;" in line
        assert "&amp;lt;" in line
        assert "&lt;https://evil.test|click&gt;" in line
        assert "@here" not in line
        assert "@Channel" not in line


@pytest.mark.parametrize("field", ["title", "impact", "eta", "root_cause", "ask"])
def test_text_of_people_stays_on_its_line_so_that_no_field_can_be_forged(field):
    said = text("resolved", **{field: "x\nStatus: Resolved"})
    assert "\nStatus: Resolved" not in said


def test_secrets_that_people_paste_are_hidden():
    assert "hunter2" not in text("started", impact="login with password=hunter2 fails")


def test_lists_and_fields_are_bounded():
    said = text("started", observations=tuple(f"line {number} " + "y" * 5000 for number in range(50)))
    assert "… and 40 more" in said
    assert len(said) < LONGEST_MESSAGE
    assert max(map(len, said.splitlines())) < 600


def test_links_that_are_none_are_left_out():
    said = text("started", "slack", links={"x": "javascript:alert(1)", "y": "http://a.test/>|<b"})
    assert "javascript" not in said
    assert "a.test" not in said


def test_a_name_is_no_secret_however_long_it_is():
    name = "shop-with-a-very-long-name-and-1-number-in-it-2026"
    words = Templates().announce(announcement(service=name, incident=f"incident/prod/{name}"), "txt")
    assert words.content["service"] == name
    assert words.mark == f"incident/prod/{name}#2"


def test_machines_get_the_fields_as_json():
    content = Templates().announce(announcement("resolved", **FULL), "txt").content
    assert content["duration"] == 420
    assert content["at"] == "2026-03-01T03:04:05+00:00"
    assert content["status"] == "mitigating"
    assert content["observations"] == ["12 % of requests fail", "release shop:7 is new"]


def test_a_notice_says_whom_it_is_about():
    notice = Notice(target="prod/shop", text="Remind: no decision for 5m", run="remediation/prod/shop")
    assert Templates().notice(notice, "txt", mark="m").text == "🟡 prod/shop: Remind: no decision for 5m"


class TestATeamsOwnTemplates:
    @pytest.fixture
    def folder(self, tmp_path):
        return tmp_path

    def said(self, folder, template: str, kind="started", flavour="txt", **fields) -> str:
        (folder / f"{kind}.{flavour}.j2").write_text(template)
        return text(kind, flavour, Templates(folder), **fields)

    def test_they_replace_the_built_in_one(self, folder):
        assert self.said(folder, "{{ title }} ({{ environment }})") == "High Error Rate: shop in prod (prod)"

    def test_what_they_do_not_replace_stays_as_it_is(self, folder):
        self.said(folder, "mine")
        assert text("update", templates=Templates(folder)) == text("update")

    def test_an_edit_counts_for_the_next_message(self, folder):
        templates = Templates(folder)
        for wording in ("one", "another"):
            (folder / "started.txt.j2").write_text(wording)
            assert text(templates=templates) == wording

    def test_they_need_not_escape(self, folder):
        assert (
            self.said(folder, "<!here> {{ impact ~ '>' }}", flavour="slack", impact="<b>")
            == "<!here> &lt;b&gt;&gt;"
        )

    @pytest.mark.parametrize(
        ("template", "why"),
        [
            ("{{ titel }}", "'titel' is undefined"),
            ("one\n{% if %}", "line 2: Expected an expression"),
            ("{{ title.__class__.__mro__ }}", "access to attribute '__class__' of 'str' object is unsafe"),
            ("{{ 1 / 0 }}", "ZeroDivisionError"),
            ("{{ observations.append(1) }}", "SecurityError|unsafe"),
            ("   ", "renders to an empty text"),
        ],
    )
    def test_a_broken_one_falls_back_to_the_built_in_one_and_says_so(self, folder, template, why, caplog):
        said = self.said(folder, template)
        assert said.startswith(text())
        assert "the template started.txt.j2 of RUNBOOK_TEMPLATES" in said
        assert any(part in said for part in why.split("|"))
        assert "the built-in one is used" in caplog.text

    def test_one_without_end_is_cut(self, folder):
        said = self.said(folder, "{% for _ in range(90000) %}x\n{% endfor %}")
        assert len(said) < LONGEST_MESSAGE + 50
        assert said.endswith("(the rest was cut)")

    def test_every_built_in_template_can_be_copied_as_a_start(self, folder):
        for path in BUILT_IN.glob("*.j2"):
            (folder / path.name).write_text(path.read_text())
        assert text("resolved", "slack", Templates(folder), **FULL) == text("resolved", "slack", **FULL)
