from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.catalog.activities import IncidentPolicies
from activities.runtime.interceptors import EnvironmentGuard
from runbook_model.catalog.catalog import parse_catalog
from runbook_model.catalog.incident_policy import TargetNames, missing
from runbook_model.catalog.policies import RUNBOOK_MATRIX, find_rule
from runbook_model.errors import CatalogError
from runbook_model.names.procedures import PROCEDURES

SMALLEST = """
[environments.prod]
cluster = "shop-prod"
[services.shop.prod]
ecs_service = "shop"
"""
ROW = """
[[alerts]]
name = "{}"
severity = "{}"
respond_within = "{}"
procedure = "{}"
"""


def matrix(*rows: str):
    return parse_catalog("".join((SMALLEST, *rows)), "catalog.toml").alerts


@pytest.mark.parametrize(
    ("alert", "severity", "minutes", "procedure"),
    [
        ("ServiceDown", "critical", 0, "service-down"),
        ("HighErrorRate", "warning", 5, "high-error-rate"),
        ("HighLatencyP95", "warning", 10, "high-latency"),
        ("HighCPU", "warning", 15, "resource-issues"),
        ("HighMemory", "warning", 15, "resource-issues"),
        ("DatabaseConnectionsHigh", "warning", 5, "database-issues"),
        ("DatabaseDown", "critical", 0, "database-issues"),
    ],
)
def test_a_catalog_without_alerts_answers_them_as_the_runbook_does(alert, severity, minutes, procedure):
    rule = find_rule(matrix(), alert, {})
    assert (rule.severity, rule.respond_within, rule.procedure) == (
        severity,
        timedelta(minutes=minutes),
        procedure,
    )


def test_a_catalog_with_alerts_of_its_own_answers_no_others():
    own = matrix(ROW.format("DiskFull", "warning", "15m", "resource-issues"))
    assert [rule.name for rule in own] == ["DiskFull"]
    assert find_rule(own, "ServiceDown", {}) is None


@pytest.mark.parametrize("name", ["servicedown", "ServiceDown ", "Service", "", 'ServiceDown"} or up{a="'])
def test_only_the_exact_name_is_known(name):
    assert find_rule(matrix(), name, {}) is None


def test_the_first_row_whose_labels_the_alert_has_answers_it():
    rows = matrix(
        ROW.format("Slow", "critical", "0s", "service-down") + 'labels = { team = "shop", tier = "1" }\n',
        ROW.format("Slow", "warning", "5m", "database-issues") + 'labels = { team = "shop" }\n',
        ROW.format("Slow", "info", "1h", "high-latency"),
    )
    found = {
        procedure: find_rule(rows, "Slow", labels).procedure == procedure
        for procedure, labels in (
            ("service-down", {"team": "shop", "tier": "1", "more": "x"}),
            ("database-issues", {"team": "shop", "tier": "2"}),
            ("high-latency", {"team": "other", "tier": "1"}),
        )
    }
    assert all(found.values()), found


def test_a_row_that_asks_for_labels_does_not_answer_an_alert_without_them():
    rows = matrix(ROW.format("Slow", "info", "1h", "high-latency") + 'labels = { team = "shop" }\n')
    assert find_rule(rows, "Slow", {}) is None


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (ROW.format("", "info", "1h", "high-latency"), 'alerts.0.name = ""'),
        (ROW.format("Slow", "bad", "1h", "high-latency"), 'alerts.0.severity = "bad"'),
        (ROW.format("Slow", "info", "-1h", "high-latency"), 'alerts.0.respond_within = "-1h"'),
        (ROW.format("Slow", "info", "1h", "Reboot it"), 'alerts.0.procedure = "Reboot it"'),
        (
            ROW.format("Slow", "info", "1h", "incident"),
            'alerts.0.procedure = "incident": cannot be the name of',
        ),
        (
            ROW.format("Slow", "info", "1h", "rollback") + "labels = { tier = 1 }\n",
            "alerts.0.labels.tier = 1",
        ),
    ],
)
def test_a_row_that_makes_no_sense_is_named_with_its_key_and_value(row, problem):
    with pytest.raises(CatalogError, match=r"catalog\.toml") as raised:
        matrix(row)
    assert problem in str(raised.value)


class TestProceduresOfOnesOwn:
    """A package may bring them, so a catalog can be read where nobody knows their names."""

    def found(self, text: str, known=PROCEDURES):
        return missing(parse_catalog(text, "catalog.toml"), known)

    def test_a_row_that_nobody_knows_is_named_with_the_nearest_name_and_every_way_to_fix_it(self):
        (line,) = self.found(SMALLEST + ROW.format("Slow", "info", "1h", "rolback"))
        assert line == (
            'alerts.0.procedure = "rolback": no such procedure is installed here (did you mean rollback?);'
            " correct the name, install the package that brings it,"
            ' or, where only workers have that, add procedures = ["rolback"] at the top'
        )

    def test_one_that_is_installed_or_that_the_catalog_declares_is_known(self):
        row = ROW.format("Slow", "info", "1h", "purge-cache")
        assert self.found(SMALLEST + row, {*PROCEDURES, "purge-cache"}) == []
        assert self.found('procedures = ["purge-cache"]\n' + SMALLEST + row) == []

    def test_the_rows_of_packages_count_where_a_catalog_has_none(self, tmp_path):
        own = parse_catalog(SMALLEST + ROW.format("Full", "info", "1h", "purge-cache"), "catalog.toml").alerts
        for text, names in (
            (SMALLEST, [row.name for row in (*RUNBOOK_MATRIX, *own)]),
            (SMALLEST + ROW.format("Slow", "info", "1h", "rollback"), ["Slow"]),
        ):
            (tmp_path / "catalog.toml").write_text(text)
            asked = ActivityEnvironment()
            guard = EnvironmentGuard({asked.info.task_queue: "prod"})
            policies = IncidentPolicies(tmp_path / "catalog.toml", guard, own)
            policy = asked.run(policies.incident_policy, TargetNames(service="shop", environment="prod"))
            assert [row.name for row in policy.matrix] == names
