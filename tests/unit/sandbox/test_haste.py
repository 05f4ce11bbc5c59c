import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.monitoring.alertmanager import ROUTES, RULES, hastened_routes, hastened_rules

DURATION = re.compile(r"\b\d+[smh]\b")


def words_apart_from_durations(text):
    return DURATION.sub("…", text)


def checked(tool, command, text, file):
    program = shutil.which(tool)
    assert program, f"{tool} is not installed: run `make set-up`"
    file.write_text(text)
    done = subprocess.run([program, *command, file], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_only_the_durations_of_the_rules_are_changed():
    assert words_apart_from_durations(hastened_rules()) == words_apart_from_durations(RULES.read_text())


def test_prometheus_takes_the_hastened_rules(tmp_path):
    assert checked("promtool", ["check", "rules"], hastened_rules(), tmp_path / "rules.yml")[0] == 0


def test_windows_span_four_scrapes_and_patience_outlasts_a_start():
    rules = hastened_rules()
    windows = [int(number) for number in re.findall(r"\[(\d+)s\]", rules)]
    patience = [int(number) for number in re.findall(r"for: (\d+)s$", rules, re.MULTILINE)]
    assert (len(windows), len(patience)) == (7, 7)
    assert min(windows) >= 4
    assert min(patience) >= 5
    assert max(patience) <= 10


def test_alertmanager_takes_the_hastened_routes_with_our_webhook_and_token(tmp_path):
    routes = hastened_routes(r"http://127.0.0.1:1/a\1lerts", Path("/tmp/token"))
    code, said = checked("amtool", ["check-config"], routes, tmp_path / "alertmanager.yml")
    assert code == 0, said
    assert r"url: http://127.0.0.1:1/a\1lerts" in routes
    assert "credentials_file: /tmp/token" in routes
    assert re.findall(r"group_interval: (\w+)", routes) == ["1s", "1s"]
    assert re.findall(r"group_wait: (\w+)", routes) == ["1s", "0s"]


def test_routes_without_a_webhook_are_reported(tmp_path, monkeypatch):
    broken = tmp_path / "alertmanager.yml"
    broken.write_text(ROUTES.read_text().replace("url:", "uri:"))
    monkeypatch.setattr("sandbox.monitoring.alertmanager.ROUTES", broken)
    with pytest.raises(RuntimeError, match="should name one webhook with its token, not 0"):
        hastened_routes("http://127.0.0.1:1/alerts", Path("/tmp/token"))
