"""Exact commands for one target, from the catalog alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from activities.cloudwatch.logs import PATTERN
from activities.prometheus import promql
from runbook_model.catalog.prometheus import PrometheusAccess
from runbook_model.catalog.target import Target

NO_LATENCY = '# the catalog says that latency is not known: latency_kind = "none"'


def aws(target: Target, service: str, action: str, *more: str) -> str:
    """Write an AWS CLI call on the target's ECS service."""
    argv = ["aws", service, action, "--region", target.region, *more]
    return shlex.join(argv)


def ecs(target: Target, action: str, *more: str, service_option: str = "--service") -> str:
    """Write an ``aws ecs`` call that names cluster and service."""
    names = ("--cluster", target.cluster, service_option, target.ecs_service)
    return aws(target, "ecs", action, *names, *more)


def describe_service(target: Target, *more: str) -> str:
    """Show the service with its deployments."""
    return ecs(target, "describe-services", *more, service_option="--services")


def list_deployments(target: Target) -> str:
    """Show the service deployments of the last 90 days, newest first."""
    fields = "serviceDeployments[].[createdAt,status,targetServiceRevisionArn]"
    return ecs(target, "list-service-deployments", "--query", fields, "--output", "table")


def stopped_tasks(target: Target) -> str:
    """Show why tasks stopped lately."""
    listed = ecs(
        target, "list-tasks", "--desired-status", "STOPPED", "--query", "taskArns", "--output", "text",
        service_option="--service-name",
    )  # fmt: skip
    fields = "tasks[].[taskDefinitionArn,stoppedReason,containers[0].reason,containers[0].exitCode]"
    shown = aws(target, "ecs", "describe-tasks", "--cluster", target.cluster, "--query", fields, "--tasks")
    return f"{shown} $({listed})"


def logs(target: Target) -> str:
    """Follow the logs."""
    return aws(target, "logs", "tail", target.log_group or "LOG-GROUP", "--since", "15m", "--follow")


def error_logs(target: Target) -> str:
    """Show the errors of the last minutes."""
    group = target.log_group or "LOG-GROUP"
    tail = ("logs", "tail", group, "--since", "15m")
    if target.error_pattern:
        return f"{aws(target, *tail)} | grep -P {shlex.quote(target.error_pattern)}"
    return aws(target, *tail, "--filter-pattern", PATTERN)


def query(target: Target, promql_text: str) -> str:
    """Ask Prometheus."""
    if target.store is None:
        return f"# no Prometheus in the catalog; the query is: {promql_text}"
    url = f"{target.store.url}/api/v1/query"
    asked = shlex.join(["curl", "-sG", url, "--data-urlencode", f"query={promql_text}"])
    return " ".join([asked, *_entry(target, target.store)])


def _entry(target: Target, access: PrometheusAccess) -> Iterator[str]:
    """Write the options that let curl in; secrets stay variables."""
    secret = f"$(cat {shlex.quote(access.secret_file)})" if access.secret_file else f"${access.secret_env}"
    if access.auth == "basic":
        yield f'--user "{secret}"'
    elif access.auth == "bearer":
        yield f'--oauth2-bearer "{secret}"'
    elif access.auth == "sigv4":
        region = access.account(target.environment, target.region, target.assume_role).region
        yield f"--aws-sigv4 aws:amz:{region}:{access.service}"
        yield '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "X-Amz-Security-Token: $AWS_SESSION_TOKEN"'
    for name, value in access.headers.items():
        yield f"-H {shlex.quote(f'{name}: {value}')}"
    for name, variable in access.header_envs.items():
        yield f'-H "{name}: ${variable}"'
    if access.ca_file:
        yield f"--cacert {shlex.quote(access.ca_file)}"


def error_rate(target: Target) -> str:
    """Measure the share of requests that fail."""
    return query(target, promql.error_share(target, None, target.verify.rate_window))


def p95(target: Target) -> str:
    """Measure in what time 95 % of the requests are answered."""
    if target.convention.latency is None:
        return NO_LATENCY
    return query(target, promql.p95_seconds(target, None, target.verify.rate_window))


def p95_by_endpoint(target: Target) -> str:
    """Measure the same for each endpoint."""
    if target.convention.latency is None:
        return NO_LATENCY
    if target.convention.endpoint is None:
        return "# the catalog names no metrics.endpoint_label"
    return query(target, promql.p95_by_endpoint(target, target.verify.rate_window))


def health(target: Target) -> str:
    """Ask the service for its health."""
    return shlex.join(["curl", "-si", f"{target.url or 'http://SERVICE-URL'}{target.health_path}"])


def metrics(target: Target) -> str:
    """Ask the service for its own metrics."""
    return shlex.join(["curl", "-s", f"{target.url or 'http://SERVICE-URL'}{target.metrics_path}"])


def timed_probe(target: Target) -> str:
    """Time one request, where the catalog allows one to be sent."""
    if target.probe is None:
        return f"# the catalog names no probe; {health(target)}"
    url = f"{target.url or 'http://SERVICE-URL'}{target.probe.path}"
    head = shlex.join(["curl", "-s", "-o", "/dev/null", "-w", "%{time_total}\\n", url])
    return f"{head} -H 'Content-Type: application/json' -d {shlex.quote(target.probe.body)}"


def wait_for_our_deployment(target: Target) -> str:
    """Watch the deployments: PRIMARY must be the wanted one, COMPLETED, and the only one with tasks."""
    fields = "services[0].deployments[].[id,status,rolloutState,taskDefinition,runningCount,pendingCount,failedTasks]"
    return f'watch -n 5 "{describe_service(target, "--query", fields, "--output", "table")}"'


def terraform(target: Target, **variables: object) -> tuple[str, ...]:
    """Plan and apply by Terraform, where the catalog says that it owns the service."""
    if target.terraform is None:
        return ("# the catalog names no Terraform for this service",)
    owner = target.terraform
    selecting = [f"TF_WORKSPACE={owner.workspace}"] if owner.workspace else []
    program = [*selecting, owner.program or "terraform", f"-chdir={owner.directory}"]
    values = [f"-var-file={name}" for name in owner.var_files]
    values += [f"-var={name}={value}" for name, value in variables.items()]
    return (
        shlex.join([*program, "plan", "-out=runbook.tfplan", *values]),
        shlex.join([*program, "apply", "runbook.tfplan"]),
    )


def scale_out(target: Target, count: int) -> tuple[str, ...]:
    """Run more tasks: by the lower bound where autoscaling manages the service, else by the desired count."""
    resource = (
        "--service-namespace",
        "ecs",
        "--resource-id",
        f"service/{target.cluster}/{target.ecs_service}",
    )
    dimension = ("--scalable-dimension", "ecs:service:DesiredCount")
    scaling = "application-autoscaling"
    return (
        aws(
            target,
            scaling,
            "describe-scalable-targets",
            "--service-namespace",
            "ecs",
            "--resource-ids",
            resource[3],
        ),
        "# autoscaling manages it (note both bounds, and put them back later):",
        aws(target, scaling, "register-scalable-target", *resource, *dimension, "--min-capacity", str(count)),
        "# it does not:",
        ecs(target, "update-service", "--desired-count", str(count)),
    )


def scale_up(target: Target) -> tuple[str, ...]:
    """Give each task more: by Terraform where it owns the service, else by a copy of the task definition."""
    size = target.scale
    if owner := target.terraform:
        return terraform(
            target,
            **_with_same_image(target),
            **{owner.cpu_variable: size.cpu, owner.memory_variable: size.memory},
        )
    return _by_copy(target, f".cpu = {json.dumps(str(size.cpu))} | .memory = {json.dumps(str(size.memory))}")


def raise_pool(target: Target) -> tuple[str, ...]:
    """Give each task a bigger connection pool, likewise."""
    pool = target.database.pool if target.database else None
    if pool is None:
        return ("# the catalog names no pool: change the service's own settings, and deploy",)
    if pool.terraform_variable:
        return terraform(target, **_with_same_image(target), **{pool.terraform_variable: pool.size})
    name, value = json.dumps(pool.env), json.dumps(str(pool.size))
    setting = f".containerDefinitions[0].environment |= (map(select(.name != {name})) + [{{name: {name}, value: {value}}}])"
    return _by_copy(target, setting)


def reboot_database(target: Target) -> tuple[str, ...]:
    """Reboot the RDS instance, and wait until it is available."""
    instance = target.database.rds_instance if target.database else None
    if instance is None:
        return ("# the catalog names no RDS instance: restart the database by hand",)
    names = ("--db-instance-identifier", instance)
    status = ("--query", "DBInstances[0].DBInstanceStatus")
    return (
        aws(target, "rds", "describe-db-instances", *names, *status),
        aws(target, "rds", "reboot-db-instance", *names),
        shlex.join(["aws", "rds", "wait", "db-instance-available", "--region", target.region, *names]),
    )


def _with_same_image(target: Target) -> dict[str, object]:
    """Name the tag that runs: without it the module's default would be deployed too."""
    if target.terraform is None:
        return {}
    return {target.terraform.image_variable: f"{target.terraform.image_variable_holds.upper()}-THAT-RUNS"}


def _by_copy(target: Target, change: str) -> tuple[str, ...]:
    """Register a copy of what runs with a change, and update the service to it."""
    added = [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
    ]
    less = ", ".join(f".{name}" for name in added)
    described = aws(
        target,
        "ecs",
        "describe-task-definition",
        "--task-definition",
        "FAMILY:REVISION",
        "--query",
        "taskDefinition",
    )
    registered = aws(target, "ecs", "register-task-definition", "--cli-input-json", "file://bigger.json")
    return (
        f"{described} | {shlex.join(['jq', f'del({less}) | {change}'])} > bigger.json",
        registered,
        ecs(target, "update-service", "--task-definition", "FAMILY:NEW-REVISION"),
    )
