"""What the command line says to what is typed, before it talks to anybody."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from starter.__main__ import run
from starter.command_line import SECTIONS, VERBS, runbook
from tests.own_packages import install

CATALOG = """
[environments.prod]
cluster = "ai-processor-prod"
[services.ai-processor.prod]
ecs_service = "ai-processor-service-prod"
"""


RUN = "0198c0de-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nothing of the shell's settings reaches the command."""
    for name in ("RUNBOOK_CATALOG", "RUNBOOK_USER", "TEMPORAL_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def say(capsys):
    def call(*words):
        code = run(words)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_without_arguments_it_helps(say):
    code, out, err = say()
    assert (code, err) == (0, "")
    for verb in VERBS:
        assert verb in out


def test_every_verb_stands_in_one_section_of_the_help():
    assert sorted(verb for verbs in SECTIONS.values() for verb in verbs) == sorted(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_helps_with_an_example_and_takes_what_every_verb_takes(verb):
    command = runbook.get_command(None, verb)
    leaves = list(getattr(command, "commands", {verb: command}).values())
    assert "Example:" in CliRunner().invoke(command, ["--help"]).output
    for leaf in leaves:
        assert "Example:" in CliRunner().invoke(leaf, ["--help"]).output
        words = ["--as", "bob", "--catalog", "catalog.toml", "--run", RUN, "--json", "--help"]
        assert CliRunner().invoke(leaf, words).exit_code == 0


@pytest.mark.parametrize("group", ["catalog", "release", "standing"])
def test_a_groups_help_cuts_no_sentence_off(say, group):
    _, out, _ = say(group)
    assert [text for text in out.splitlines() if text.startswith("  ") and text.endswith("...")] == []


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["start"], {"--as", "--catalog", "--json"}),
        (["show"], {"--catalog", "--run", "--json"}),
        (["approve"], {"--as", "--run", "--json"}),
        (["list"], {"--catalog", "--json"}),
        (["review"], {"--run", "--json"}),
        (["worker"], {"--catalog"}),
        (["up"], {"--json"}),
        (["completion"], set()),
        (["release", "mark"], {"--as", "--catalog", "--json"}),
    ],
)
def test_help_shows_only_options_that_mean_something(say, words, shown):
    _, out, _ = say(*words, "--help")
    found = {option for option in ("--as", "--catalog", "--run", "--json") if f"  {option} " in out}
    assert found == shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show"], "Missing argument 'ID'"),
        (["frobnicate"], "No such command"),
        (
            ["start", "rollback", "--environment", "prod"],
            "no target is given; write ENVIRONMENT/SERVICE",
        ),
        (["start", "rollback"], "no target is given; write ENVIRONMENT/SERVICE"),
        (["start", "rollback", "prod/a", "--service", "a"], "the target is given twice"),
        (["start", "rollback", "ai-processor"], "'ai-processor' is not a target; write ENVIRONMENT/SERVICE"),
        (["open", "prod"], "'prod' is not a target; write ENVIRONMENT/SERVICE"),
        (["open", "prod/a", "--procedure", "rolback"], "(did you mean rollback?)"),
        (["list", "prod/a", "--environment", "prod"], "the target is given twice"),
        (["list", "--limit", "0"], "Invalid value for '--limit': '0' is not a whole number from 1 to 10000"),
        (
            ["list", "--limit", "abc"],
            "'abc' is not a whole number from 1 to 10000; see `runbook list --help`",
        ),
        (["metrics", "--days", "-1"], "'-1' is not a whole number from 1 to 3650"),
        (["close", "prod/a", "--reason", "x"], "No such option '--reason'; see `runbook close --help`"),
        (["metrics", "--since", "1d"], "No such option '--since'; see `runbook metrics --help`"),
        (["strat"], "No such command 'strat' (did you mean start?); see `runbook --help`"),
        (
            ["show", "prod/a", "--jsn"],
            "No such option '--jsn' (did you mean --json?); see `runbook show --help`",
        ),
        (["start", "rolback", "prod/a"], "there is no procedure 'rolback' (did you mean rollback?)"),
        (["demo", "bad-relase"], "there is no story 'bad-relase' (did you mean bad-release?)"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        (
            ["start", "coffee", "--service", "a", "--environment", "b"],
            "there is no procedure 'coffee'; there are: database-issues",
        ),
        (
            ["start", "rollback", "--service", "A;rm", "--environment", "b"],
            "'A;rm' cannot be the name of a service",
        ),
        (
            ["start", "rollback", "--service", "a", "--environment", "b" * 64],
            "cannot be the name of an environment",
        ),
        (
            ["start", "service-down", "--service", "a", "--environment", "b", "--to", "1"],
            "--to is for rollback only",
        ),
        (["start", "service-down", "prod/a", "--shift", "fast"], "--shift is for rollback only"),
        (
            ["start", "high-latency", "prod/a", "--continue-own-hooks"],
            "--continue-own-hooks is for rollback only",
        ),
        (
            ["start", "rollback", "prod/a", "--shift", "quick"],
            "'quick' is not one of 'as-configured', 'fast'",
        ),
        (["abort", "prod/a", "--reason", "x", "--keep", "--undo"], "exclude each other"),
        (["abort", "prod/a"], "Missing option '--reason'"),
        (["abort", "prod/a", "--reason", " "], "--reason has an empty value"),
        (["abort", "prod/a", "--reason", "r" * 2001], "--reason is longer than 2000 characters"),
        (["approve", "prod/a", "--as", "a\nb"], "is not a name"),
        (["show", "prod/a", "--run", "no-uuid"], "not the id of a run"),
        (["list", "--service", 'x" OR 1=1'], "cannot be the name of a service"),
        (["release", "list", "ai-processor"], "'ai-processor' is not a target"),
        (["release", "mark", "prod/a", "1.0.0", "fine", "--reason", "x"], "is not one of 'good', 'bad'"),
        (["release", "mark", "prod/a", "1.0.0", "good"], "Missing option '--reason'"),
        (["release", "mark", "prod/a", "1.0.0", "bad", "--reason", ""], "--reason has an empty value"),
        (
            ["release", "mark", "prod/a", "1.0.0", "bad", "--reason", "r" * 2001],
            "--reason is longer than 2000 characters",
        ),
        (["release", "mark", "prod/a", "a\nb", "bad", "--reason", "x"], "RELEASE needs a revision"),
        (
            ["start", "rollback", "--service", "a", "--environment", "b", "--reason", "r" * 2001],
            "is longer than",
        ),
        (["show", "prod/a", "--as", "\udcff"], r"'\udcff' is not UTF-8"),
        (["catalog", "discover", "--cluster", ""], "--cluster has an empty value; write the value, or leave"),
        (["catalog", "discover", "--environment", " "], "--environment has an empty value"),
        (["catalog", "discover", "--prometheus="], "--prometheus has an empty value"),
        (["catalog", "discover", "-o", ""], "-o has an empty value"),
        (["approve", "prod/a", "--option", "", "--as", "bob"], "--option has an empty value"),
        (["print", "rollback", "prod/a", "--catalog", ""], "--catalog has an empty value"),
        (["catalog", "check", ""], "an argument has an empty value"),
        (["catalog", "check"], "no catalog is given"),
        (["catalog", "check", "/nowhere.toml"], "write one: `runbook catalog discover -o /nowhere.toml`"),
        (["worker"], "a worker needs a catalog"),
        (["demo", "nothing"], "there is no story 'nothing'; there are: bad-release"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_2(say, words, said):
    code, out, err = say(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["show", "prod/a"],
        ["abort", "prod/a", "--reason", "x"],
        ["doctor", "--environment", "prod"],
        ["codec"],
    ],
)
def test_keys_that_are_none_are_reported_before_anything_is_started(say, monkeypatch, words):
    monkeypatch.setenv("RUNBOOK_CODEC_KEYS", "no key")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")  # it would be reported as away
    code, out, err = say(*words)
    assert (code, out) == (2, "")
    assert "RUNBOOK_CODEC_KEYS, line 1 holds no key; write `<key id> <base64 of 32 bytes>`" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("program", [["worker"], ["starter", "webhook", "--listen", "127.0.0.1:0"]])
def test_neither_worker_nor_webhook_starts_with_keys_that_are_none(tmp_path, program):
    (tmp_path / "catalog.toml").write_text(CATALOG)
    environment = {
        "RUNBOOK_CATALOG": str(tmp_path / "catalog.toml"),
        "RUNBOOK_CODEC_KEYS_FILE": str(tmp_path / "nowhere"),
        "RUNBOOK_WEBHOOK_TOKEN": "x",
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
    }
    wording = subprocess.run(
        [sys.executable, "-m", *program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert wording.returncode == 2
    assert "nowhere: cannot read it: No such file or directory" in wording.stderr
    assert len(wording.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["start", "rollback", "--service", "nobody", "--environment", "prod"],
            'no service "nobody" in the catalog; there are: ai-processor',
        ),
        (["start", "rollback", "prod/ai-procesor"], "(did you mean ai-processor?)"),
        (["start", "rollback", "prd/ai-processor"], "(did you mean prod?)"),
        (["start", "rollback", "ai-processor/prod"], "write the environment first: prod/ai-processor"),
        (["open", "prod/ai-procesor"], "(did you mean ai-processor?)"),
        (["release", "list", "prod/ai-procesor"], "(did you mean ai-processor?)"),
        (["drill", "prd"], "(did you mean prod?)"),
        (["doctor", "prod/ai-procesor"], "(did you mean ai-processor?)"),
    ],
)
def test_a_target_that_is_not_in_the_catalog_is_refused_with_the_nearest_name(say, tmp_path, words, said):
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG)
    code, out, err = say(*words, "--catalog", str(file))
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_the_version_is_that_of_the_package(say):
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert say("--version") == (0, f"runbook {project['version']}\n", "")


@pytest.mark.parametrize("target", ["prd", "prd/ai-processor"])
def test_a_brake_that_would_hold_nothing_is_refused(say, tmp_path, target):
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG)
    code, _, err = say("brake", "on", target, "--reason", "migration", "--catalog", str(file))
    assert code == 2
    assert 'no environment "prd"' in err


@pytest.mark.parametrize(
    ("words", "form"),
    [
        (("brake", "on", "--environment", "prod"), "[E|E/S]"),
        (("release", "list", "--service", "shop"), "E/S"),
    ],
)
def test_a_command_that_takes_its_target_by_position_only_says_so(say, words, form):
    code, _, err = say(*words)
    assert code == 2
    assert f"; write the target by position: {form}; see `runbook" in err


def test_where_temporals_name_is_unknown_the_reason_is_the_systems_own(say, monkeypatch):
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.invalid:7233")
    code, out, err = say("list")
    assert (code, out) == (4, "")
    assert "Temporal is not reachable at temporal.invalid:7233" in err
    assert not any(sign in err for sign in ("tonic", "Custom", "ConnectError")), err


def test_all_faults_of_a_catalog_are_reported(say, tmp_path):
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG + "[environments.a]\nplatfrom = 1\nregion = 5\n")
    code, out, err = say("catalog", "check", str(file))
    assert (code, out) == (2, "")
    assert "platfrom" in err
    assert "region" in err


def test_a_catalog_whose_contacts_have_no_channels_is_good_and_says_where_their_messages_go(say, tmp_path):
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG + '[[contacts]]\nname = "SRE"\nchannel = "phone"\n')
    code, _, err = say("catalog", "check", str(file))
    assert code == 0
    assert err.endswith("no [[channels]]: messages to contacts are written to the worker's log\n")


def test_a_good_catalog_is_counted(say, tmp_path):
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG)
    code, out, _ = say("catalog", "check", str(file), "--json")
    assert code == 0
    assert json.loads(out).items() >= {"ok": True, "environments": 1, "services": 1, "targets": 1}.items()


def test_alerts_that_a_matrix_of_ones_own_leaves_out_are_named(say, tmp_path):
    file = tmp_path / "catalog.toml"
    row = '[[alerts]]\nname = "HighCPU"\nseverity = "info"\nrespond_within = "1h"\nprocedure = "resource-issues"\n'
    file.write_text(CATALOG + row)
    code, out, err = say("catalog", "check", str(file))
    assert (code, "1 alert" in out) == (0, True)
    assert "alerts without a row go to a person, and start nothing: ServiceDown, DatabaseDown," in err
    assert "HighCPU" not in err


def test_the_schema_is_the_catalogs(say):
    code, out, _ = say("catalog", "schema")
    assert code == 0
    assert set(json.loads(out)["properties"]) >= {"environments", "services", "alerts"}


def test_stories_are_listed_for_programs(say):
    code, out, _ = say("demo", "--list", "--json")
    assert code == 0
    stories = json.loads(out)
    assert {"bad-release"} <= {story["name"] for story in stories}
    assert all(set(story) == {"name", "procedure", "summary"} for story in stories)


def test_a_fault_of_ours_is_one_line(say, monkeypatch):
    monkeypatch.setattr("starter.commands.remediation.show.converse", lambda _: 1 / 0)
    code, out, err = say("show", "prod/a")
    assert (code, out) == (1, "")
    assert (
        err
        == "runbook: ZeroDivisionError: division by zero (a bug in runbook; RUNBOOK_DEBUG=1 shows where)\n"
    )


def test_ctrl_c_is_one_line(say, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("starter.commands.remediation.show.converse", interrupt)
    code, _, err = say("show", "prod/a")
    assert (code, err.strip()) == (130, "runbook: interrupted")


def in_shell(line, **environment):
    wording = subprocess.run(
        ["bash", "-c", line, "bash", sys.executable, "-m", "starter"],
        capture_output=True,
        check=False,
        env=os.environ | environment,
    )
    return wording.returncode, wording.stderr.decode()


@pytest.mark.parametrize("line", ['"$@" catalog schema >&-', '"$@" catalog schema >&- 2>&-'])
def test_nobody_needs_to_read_the_answer(line):
    assert in_shell(line) == (0, "")


def test_an_error_that_nobody_reads_keeps_its_exit_code():
    assert in_shell('"$@" frobnicate 2>&-') == (2, "")


def test_an_answer_that_cannot_be_written_is_reported():
    code, err = in_shell('"$@" catalog schema >/dev/full')
    assert (code, err) == (
        1,
        "runbook: the output cannot be written: No space left on device; make room\n",
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TEMPORAL_ADDRESS": ":::"}, "Temporal's configuration cannot be used: invalid target URL"),
        ({"TEMPORAL_TLS_CLIENT_CERT_PATH": "/nowhere.pem"}, "No such file or directory: '/nowhere.pem'"),
        ({"GREETING": "\udcff"}, "the environment variable GREETING is not UTF-8"),
    ],
)
def test_settings_of_temporal_that_cannot_be_used_are_one_line(environment, said):
    code, err = in_shell('"$@" list', **environment)
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1


def test_ctrl_c_while_it_is_still_being_loaded_is_one_line(say, monkeypatch):
    class Interrupting:
        @staticmethod
        def find_spec(name, *_):
            if name == "starter.command_line":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "starter.command_line", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting, *sys.meta_path])
    assert say("list") == (130, "", "runbook: interrupted\n")


def test_help_imports_neither_temporal_nor_pydantic():
    program = (
        "import sys; from starter.__main__ import run; run(['--help']);"
        "sys.exit(sorted({'temporalio', 'pydantic', 'rich', 'opentelemetry', 'cryptography'} & set(sys.modules)).__repr__())"
    )
    wording = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert wording.stderr.strip() == "[]"


def test_no_verb_imports_an_outside_client_or_tracing():
    program = (
        "import sys; from starter.command_line import VERBS, runbook;"
        "[runbook.get_command(None, verb) for verb in VERBS];"
        "sys.exit(sorted({'boto3', 'botocore', 'httpx', 'psycopg', 'worker', 'opentelemetry', 'cryptography'} & set(sys.modules)).__repr__())"
    )
    wording = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert wording.stderr.strip() == "[]"


class TestProceduresOfOnesOwn:
    """An alert row names one; it is known where its package is installed, and where the catalog declares it."""

    ROW = '[[alerts]]\nname = "CacheFull"\nseverity = "info"\nrespond_within = "1h"\nprocedure = "purge-cache"\n'

    @pytest.fixture
    def file(self, tmp_path):
        (tmp_path / "catalog.toml").write_text(CATALOG + self.ROW)
        return tmp_path / "catalog.toml"

    def test_catalog_check_says_that_it_is_not_installed_and_what_to_do(self, say, file):
        code, out, err = say("catalog", "check", str(file))
        assert (code, out) == (2, "")
        assert (
            f'{file}: alerts.0.procedure = "purge-cache": no such procedure is installed here; correct' in err
        )
        assert 'add procedures = ["purge-cache"] at the top' in err

    def test_catalog_check_knows_it_where_its_package_is_installed(self, say, file, tmp_path, monkeypatch):
        install(tmp_path, monkeypatch)
        assert say("catalog", "check", str(file))[0] == 0

    @pytest.mark.parametrize(
        "words",
        [
            ("start", "purge-cache", "prod/ai-processor"),
            ("open", "prod/ai-processor", "--procedure", "purge-cache"),
        ],
    )
    def test_it_is_started_from_where_no_package_is_by_the_name_in_the_catalog(
        self, say, file, words, monkeypatch
    ):
        monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
        code, _, err = say(*words, "--catalog", str(file))
        assert code == 4, err

    def test_a_name_that_nobody_knows_is_refused_with_what_to_do(self, say, file):
        code, out, err = say("start", "coffee", "prod/ai-processor", "--catalog", str(file))
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert "there is no procedure 'coffee'; there are: database-issues, " in err
        assert "purge-cache" in err
        assert 'install its package here, or name it in the catalog: procedures = ["NAME"]' in err
