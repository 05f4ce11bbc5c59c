"""The rules of ``deploy/``, judged by Prometheus's own tool on series that are made up for each case."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from runbook_model.catalog.policies import RUNBOOK_MATRIX
from runbook_model.catalog.service_policies import Database, Thresholds

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus/alerts.yml"
LABELS = 'service="shop", environment="prod"'
TARGET = {"service": "shop", "environment": "prod"}
PATIENT = "12m"
"""So late every rule has had its window and its patience."""


def tool(name):
    found = shutil.which(name)
    package = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}[name]
    assert found, f"{name} is not installed: run `make set-up`, or install Debian's package {package}"
    return found


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def series(name, values, labels="", **more):
    """A series of the shop in prod, a sample every 15 s: ``values`` as promtool writes them."""
    words = ", ".join(
        [LABELS, *([labels] if labels else []), *(f'{key}="{value}"' for key, value in more.items())]
    )
    return {"series": f"{name}{{{words}}}", "values": values}


def growing(name, per_minute, **labels):
    return series(name, f"0+{per_minute / 4}x80", **labels)


def steady(name, value, **labels):
    return series(name, f"{value}x80", **labels)


def requests(per_minute):
    return growing("http_requests_total", per_minute, job="shop", status="200")


def errors(per_minute):
    return growing("http_errors_total", per_minute, job="shop", type="timeout")


def latency(quick, slow):
    """A histogram: so many requests a minute within a second, and so many that take up to 2.5 s."""
    name = "http_request_duration_seconds_bucket"
    return [
        growing(name, quick, le="1.0"),
        growing(name, quick + slow, le="2.5"),
        growing(name, quick + slow, le="+Inf"),
        requests(quick + slow),
    ]


def container(cpu_share, quota=50000, task="a"):
    """A task that may use half a core, and uses that share of it, on a host that counts two cores apart."""
    seconds = cpu_share * 0.5 * 60 / 2
    return [
        *(
            growing("container_cpu_usage_seconds_total", seconds, cpu=cpu, task=task)
            for cpu in ("cpu0", "cpu1")
        ),
        steady("container_spec_cpu_quota", quota, task=task),
        steady("container_spec_cpu_period", 100000, task=task),
    ]


def memory(used, limit=400, task="a"):
    return [
        steady("container_memory_usage_bytes", used, task=task),
        steady("container_spec_memory_limit_bytes", limit, task=task),
    ]


def database(active, idle, most=100, reserved=3):
    return [
        steady("pg_stat_activity_count", active, state="active", datname="shop"),
        steady("pg_stat_activity_count", idle, state="idle", datname="shop"),
        steady("pg_settings_max_connections", most),
        steady("pg_settings_superuser_reserved_connections", reserved),
        steady("pg_up", 1),
    ]


def up(*values, job="shop"):
    return [series("up", value, job=job, task=str(number)) for number, value in enumerate(values)]


FIRING = {
    "ServiceDown": {
        "no task answers its scrape": up("1x20 0x60", "1x20 0x60"),
        "all tasks are gone": up("1x20 stale", "1x12 stale"),
        "no task ever answered": up("0x80"),
        "only the target of an exporter is up": [*up("1x20 stale"), *up("1x80", job="postgres_exporter")],
        "tasks answer and the probe of the health check fails": [
            *up("1x80"), steady("probe_success", 0, instance="http://shop/health")
        ],
    },
    "HighErrorRate": {
        "11 % of the requests fail": [requests(100), errors(11)],
        "everything fails": [requests(100), errors(100)],
        "errors of two types are too many together": [
            requests(100), errors(6), growing("http_errors_total", 6, job="shop", type="database")
        ],
        "errors started with a series that was not there before": [
            requests(100), series("http_errors_total", "_x8 0+10x72", type="timeout")
        ],
        "there is just enough traffic": [requests(10.5), errors(5)],
    },
    "HighLatencyP95": {
        "6 % of the requests are slow": latency(94, 6),
        "all requests are slow": latency(0, 100),
    },
    "HighCPU": {
        "85 % of the limit is used": container(0.85),
        "the average of two tasks is too high": [*container(0.99, task="a"), *container(0.7, task="b")],
        "a task without a limit is left out": [*container(0.9, task="a"), *container(0.1, quota=0, task="b")],
    },
    "HighMemory": {
        "one of two tasks is nearly full": [*memory(350, task="a"), *memory(50, task="b")],
    },
    "DatabaseConnectionsHigh": {
        "78 of the 97 connections that are open to services are taken": database(active=30, idle=48),
        "all of them are taken": database(active=97, idle=0),
    },
    "DatabaseDown": {
        "the exporter gets no connection": [steady("pg_up", 0)],
    },
}  # fmt: skip
SILENT = {
    "one of two tasks is up": up("1x20 0x60", "1x80"),
    "tasks were replaced": up("1x20 stale", "_x18 1x60"),
    "the probe of the health check succeeds": [*up("1x80"), steady("probe_success", 1)],
    "exactly 10 % of the requests fail": [requests(100), errors(10)],
    "everything fails, of too few requests to say anything": [requests(9), errors(9)],
    "there are no requests and no errors": [
        steady("http_requests_total", 1000),
        steady("http_errors_total", 900),
    ],
    "there are errors but no requests are counted": [errors(50)],
    "there is no error series": [requests(100)],
    "4 % of the requests are slow": latency(96, 4),
    "all of too few requests are slow": latency(0, 8),
    "a histogram without requests, whose quantile is NaN": latency(0, 0),
    "CPU is at its threshold": container(0.79),
    "a task without a limit is busy": container(50, quota=0),
    "CPU without a limit's series": container(0.99)[:2],
    "memory below the threshold": memory(339),
    "memory without a limit": memory(350, limit=0),
    "77 of 97 connections are taken": database(active=29, idle=48),
    "connections without the server's settings": database(active=97, idle=0)[:2],
    "the database answers": [steady("pg_up", 1)],
    "nothing is there at all": [],
}


def judge(input_series, expected, at=PATIENT, **more):
    """Have promtool say whether exactly these alerts fire for the shop; returns what it complains of."""
    case = {
        "interval": "15s",
        "input_series": input_series,
        "promql_expr_test": [
            {
                "expr": 'ALERTS{alertstate="firing"}',
                "eval_time": at,
                "exp_samples": [{"labels": _labels(name), "value": 1} for name in expected],
            }
        ],
        **more,
    }
    document = {"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": [case]}
    done = subprocess.run(
        [tool("promtool"), "test", "rules", "/dev/stdin"],
        input=json.dumps(document), capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert ("SUCCESS" in said) == (done.returncode == 0), said
    return "" if done.returncode == 0 else said


def _labels(name):
    severity = next(rule["labels"]["severity"] for rule in rules() if rule["alert"] == name)
    return f'ALERTS{{alertname="{name}", alertstate="firing", {LABELS}, severity="{severity}"}}'


@pytest.mark.parametrize(("alert", "why"), [(alert, why) for alert, cases in FIRING.items() for why in cases])
def test_it_fires_and_nothing_else_does_when(alert, why):
    assert judge(FIRING[alert][why], [alert]) == ""


@pytest.mark.parametrize("why", SILENT)
def test_nothing_fires_when(why):
    assert judge(SILENT[why], []) == ""


@pytest.mark.parametrize(
    ("alert", "early"),
    [
        ("ServiceDown", "45s"),
        ("HighErrorRate", "60s"),
        ("HighLatencyP95", "4m"),
        ("HighCPU", "4m"),
        ("HighMemory", "105s"),
        ("DatabaseConnectionsHigh", "45s"),
        ("DatabaseDown", "45s"),
    ],
)
def test_a_moment_is_not_enough(alert, early):
    first = {"ServiceDown": up("0x80")}.get(alert) or next(iter(FIRING[alert].values()))
    assert judge(first, [], at=early) == ""
    assert judge(first, [alert]) == ""


def test_it_continues_while_a_service_is_gone_for_hours():
    assert judge(up("1x20 stale"), ["ServiceDown"], at="5h") == ""


@pytest.mark.parametrize("alert", FIRING)
def test_it_ends_once_all_is_well(alert):
    sick = next(iter(FIRING[alert].values()))
    well = [{**item, "values": _then_well(item)} for item in sick]
    assert judge(well, [alert], at="20m") == ""
    assert judge(well, [], at="40m") == ""


def _then_well(item):
    """Half an hour of what is wrong, then of what is not: counters of good requests alone continue."""
    name, values = (
        item["series"].partition("{")[0],
        item["values"].replace("x80", "x120").replace("x60", "x120"),
    )
    wrong = ("http_errors_total", "container_cpu_usage_seconds_total", "pg_stat_activity_count")
    if name == "up":
        return "1x20 0x100 1x120"
    if values == "0x120":
        return "0x120 1x120"
    if name == "container_memory_usage_bytes":
        return f"{values} 100x120"
    if name in wrong or 'le="2.5"' in item["series"] or 'le="+Inf"' in item["series"]:
        return f"{values} 0x120"
    return values.replace("x120", "x240")


def test_each_target_has_its_own_alert_with_what_a_human_needs():
    other = [
        {**item, "series": item["series"].replace("shop", "till")} for item in [requests(100), errors(0)]
    ]
    expected = {
        "exp_labels": {**TARGET, "severity": "warning"},
        "exp_annotations": {
            "summary": "25% of the requests to shop in prod fail",
            "impact": "25% of the requests to shop are answered with an error.",
            "runbook_url": "https://runbooks.example.com/high-error-rate",
            "dashboard_url": "http://localhost:3000/d/services?var-service=shop&var-environment=prod",
        },
    }
    rule = {"eval_time": PATIENT, "alertname": "HighErrorRate", "exp_alerts": [expected]}
    series_of_both = [requests(100), errors(25), *other]
    assert judge(series_of_both, ["HighErrorRate"], alert_rule_test=[rule]) == ""


def test_the_rules_are_those_of_the_alert_matrix_with_its_severities_and_procedures():
    matrix = {row.name: (row.severity, row.procedure) for row in RUNBOOK_MATRIX}
    found = {
        rule["alert"]: (rule["labels"]["severity"], rule["annotations"]["runbook_url"].rpartition("/")[2])
        for rule in rules()
    }
    assert found == matrix


def test_the_thresholds_are_those_that_procedures_verify_against():
    defaults = Thresholds()
    expected = {
        "HighErrorRate": ("> 0.10", defaults.error_rate),
        "HighLatencyP95": ("> 1\n", defaults.p95_seconds),
        "HighCPU": ("> 0.80", defaults.cpu),
        "HighMemory": ("> 0.85", defaults.memory),
        "DatabaseConnectionsHigh": ("> 0.80", Database.model_fields["full"].default),
    }
    words = {rule["alert"]: rule["expr"] for rule in rules()}
    for alert, (text, threshold) in expected.items():
        assert text in words[alert]
        assert float(text.removeprefix("> ")) == threshold
    gated = [alert for alert, expression in words.items() if f">= {defaults.min_requests}" in expression]
    assert gated == ["HighErrorRate", "HighLatencyP95"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_rule_says_what_is_wrong_whom_it_hurts_and_where_to_look(rule):
    assert set(rule["annotations"]) == {"summary", "impact", "runbook_url", "dashboard_url"}
    page = rule["annotations"]["runbook_url"].rpartition("/")[2]
    assert (DEPLOY.parent / "docs/runbooks" / f"{page}.md").is_file()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_rule_reads_only_series_that_name_their_target(rule):
    selectors = re.findall(r"\b(?:\w+_\w+|up)\{([^}]*)\}", rule["expr"])
    assert selectors
    assert all('service!="", environment!=""' in selector for selector in selectors)


class TestAlertmanager:
    FILE = DEPLOY / "alertmanager.yml"

    def test_its_configuration_is_valid(self):
        checked = subprocess.run(
            [tool("amtool"), "check-config", self.FILE], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr

    @pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
    def test_it_sends_every_alert_to_the_webhook(self, rule):
        words = [f"alertname={rule['alert']}", "service=shop", f"severity={rule['labels']['severity']}"]
        routed = subprocess.run(
            [tool("amtool"), "config", "routes", "test", f"--config.file={self.FILE}", *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert routed.stdout.strip() == "runbooks", routed.stderr

    def test_what_the_product_says_of_itself_goes_to_people_past_the_webhook(self):
        file = self.FILE.with_name("prometheus") / "self-alerts.yml"
        (group,) = yaml.safe_load(file.read_text())["groups"]
        assert len(group["rules"]) >= 9
        for rule in group["rules"]:
            words = [f"{name}={value}" for name, value in rule["labels"].items()]
            routed = subprocess.run(
                [tool("amtool"), "config", "routes", "test", f"--config.file={self.FILE}", *words],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert routed.stdout.strip() == "people", (rule["alert"], routed.stderr)

    def test_the_webhook_gets_the_token_every_alert_and_every_end(self):
        receivers = yaml.safe_load(self.FILE.read_text())["receivers"]
        (webhook,) = [item for receiver in receivers for item in receiver.get("webhook_configs", ())]
        assert webhook["url"].endswith("/alerts")
        assert (webhook["send_resolved"], webhook["max_alerts"]) == (True, 0)
        assert webhook["http_config"]["authorization"]["credentials_file"].startswith("/run/secrets/")
