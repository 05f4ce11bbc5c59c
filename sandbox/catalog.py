"""Writes the catalog of the sandbox's world: the product's only word about where things are."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sandbox.names import (
    BLUE_GREEN,
    BLUE_GREEN_ENVIRONMENTS,
    DATABASE_SERVICE,
    ECS_ENVIRONMENTS,
    LOCAL,
    REGION,
    SERVICE,
    EcsEnvironment,
)
from sandbox.postgres.files import DATABASE

_HEAD = """\
# The sandbox's world. Written at every start; copy it to change it.
"""
_ENVIRONMENT = """
[environments.{name}]
platform = "ecs"
region = {region}
cluster = {cluster}
{prometheus}evidence = ["prometheus", "scrape", "probe"]  # without this line the load balancer's figures count too
approvals = {approvals}
"""
_APPROVALS = {
    "staging": '{ needed = 0, timeout = "30m" }',
    "prod": '{ needed = 1, requester_may = false, remind = "5m", escalate = "10m", timeout = "30m", on_timeout = "not-approved" }',
}
_PLACEMENT = """
[services.{service}.{name}]
ecs_service = {ecs_service}
url = {url}
log_group = {log_group}
thresholds = {{ error_rate = 0.10, p95_seconds = 1.0, cpu = 0.80, memory = 0.85, min_requests = 30 }}
verify = {{ bake = "10s", rate_window = "10s", consecutive = 5, lag = "5s" }}
rollback = {{ strategy = "task-definition", soak = "0s" }}
scale = {{ errors = 5, latency = 4, resources = 5, max = 10, hold = "1h", cpu = 512, memory = 1024 }}
probe = {{ path = "/api/v1/process", body = '{{"test": "data"}}' }}
"""
_DATABASE = """\
database = {{ dsn_env = {}, leaked_after = "5s" }}
"""
_LOCAL = """
[environments.{name}]
platform = "compose"
compose = {{ project = {project} }}
{prometheus}approvals = {{ needed = 0, timeout = "30m" }}
"""
_LOCAL_PLACEMENT = """
[services.{service}.{name}]
{url}thresholds = {{ error_rate = 0.10, p95_seconds = 1.0, cpu = 0.80, memory = 0.85, min_requests = 30 }}
verify = {{ bake = "10s", rate_window = "10s", consecutive = 5 }}
rollback = {{ soak = "0s" }}
probe = {{ path = "/api/v1/process", body = '{{"test": "data"}}' }}
"""
_LOCAL_DATABASE = """\
database = {{ compose_service = {service}, user = {role}, name = {role} }}
"""
_BY_RELEASE = """\
evidence = ["prometheus", "load-balancer", "scrape", "probe"]  # target groups know one release from the other
"""
_ALERTS = (
    ("ServiceDown", "critical", "0s", "service-down"),
    ("DatabaseDown", "critical", "0s", "database-issues"),
    ("HighErrorRate", "warning", "5m", "high-error-rate"),
    ("DatabaseConnectionsHigh", "warning", "5m", "database-issues"),
    ("HighLatencyP95", "warning", "10m", "high-latency"),
    ("HighCPU", "warning", "15m", "resource-issues"),
    ("HighMemory", "warning", "15m", "resource-issues"),
)
_ALERT = """
[[alerts]]
name = "{}"
severity = "{}"
respond_within = "{}"
procedure = "{}"
"""
_CONTACTS = """
[[contacts]]
name = "On-call SRE"
channel = "sandbox"

[[contacts]]
name = "DevOps lead"
channel = "sandbox"
"""

SLACK_CHANNEL = "incidents"
SLACK_TOKEN = "SANDBOX_SLACK_TOKEN"  # noqa: S105 - the name of a variable; a real Slack's token is never in it
# The alerts are thirty times as quick as in earnest; so is what waits for them, and people have their usual time.
_CHANNELS = f"""
[[channels]]
name = "sandbox"
kind = "slack"
secret_env = "{SLACK_TOKEN}"
channel = "#{SLACK_CHANNEL}"

[incidents]
quiet = "5s"
cool_down = "20s"
"""


def catalog_text(
    service_urls: Mapping[str, str],
    prometheus_url: str | None,
    *,
    local_url: str | None = None,
    databases: bool = False,
    alerts: bool = False,
    signers: tuple[str, ...] = (),
    blue_green_urls: Mapping[str, str] | None = None,
) -> str:
    """Return the catalog as TOML.

    Args:
        service_urls: the load balancer of each ECS environment, without trailing slash.
        prometheus_url: None when there is no Prometheus.
        local_url: the load balancer of the compose project; None when nothing runs there.
        databases: whether there are databases.
        alerts: whether alerts come in, and people are notified in a Slack.
        signers: who signs decisions in prod; nobody where none are signed.
        blue_green_urls: the load balancer of each environment's service whose deployments shift traffic.
    """
    environments = ECS_ENVIRONMENTS.values()
    parts = [_HEAD]
    parts += [_environment(environment, prometheus_url, signers) for environment in environments]
    parts += [_local(prometheus_url), f"\n[services.{SERVICE}]\n"]
    for environment in environments:
        parts.append(_placement(environment, service_urls[environment.name]))
        if databases:
            parts.append(_DATABASE.format(_quoted(dsn_variable(environment.name))))
    parts += [_local_placement(local_url, databases=databases)]
    if blue_green_urls:
        parts.append(f"\n[services.{BLUE_GREEN}]\n")
        for name, item in BLUE_GREEN_ENVIRONMENTS.items():
            parts += [_placement(item, blue_green_urls[name]), _BY_RELEASE]
    parts += [*(_ALERT.format(*alert) for alert in _ALERTS), _CONTACTS]
    if alerts:
        parts.append(_CHANNELS)
    if prometheus_url:
        parts.append(f"\n[links]\nprometheus = {_quoted(prometheus_url)}\n")
    return "".join(parts)


def dsn_variable(environment: str) -> str:
    """Return the name of the variable that holds the product's DSN of an environment's database."""
    return f"AI_PROCESSOR_DSN_{environment.upper()}"


def _environment(environment: EcsEnvironment, prometheus_url: str | None, signers: tuple[str, ...]) -> str:
    prometheus = (
        f'prometheus_url = {_quoted(prometheus_url)}\nrelease_label = "release"\n' if prometheus_url else ""
    )
    return _ENVIRONMENT.format(
        name=environment.name,
        region=_quoted(REGION),
        cluster=_quoted(environment.cluster),
        prometheus=prometheus,
        approvals=_approvals(environment.name, signers),
    )


def _approvals(environment: str, signers: tuple[str, ...]) -> str:
    found = _APPROVALS[environment]
    if environment != "prod" or not signers:
        return found
    return f"{found.removesuffix(' }')}, signed = true, people = {json.dumps(signers)} }}"


def _placement(environment: EcsEnvironment, url: str) -> str:
    return _PLACEMENT.format(
        service=environment.service,
        name=environment.name,
        ecs_service=_quoted(environment.ecs_service),
        url=_quoted(url),
        log_group=_quoted(environment.log_group),
    )


def _local(prometheus_url: str | None) -> str:
    # Compose distinguishes no releases, so no label does.
    prometheus = f"prometheus_url = {_quoted(prometheus_url)}\n" if prometheus_url else ""
    return _LOCAL.format(name=LOCAL.name, project=_quoted(LOCAL.project), prometheus=prometheus)


def _local_placement(url: str | None, *, databases: bool) -> str:
    where = f"url = {_quoted(url)}\n" if url else ""
    placement = _LOCAL_PLACEMENT.format(service=SERVICE, name=LOCAL.name, url=where)
    if not databases:
        return placement
    return placement + _LOCAL_DATABASE.format(service=_quoted(DATABASE_SERVICE), role=_quoted(DATABASE))


def _quoted(text: str) -> str:
    """Return a TOML basic string, which JSON strings are."""
    return json.dumps(text)
