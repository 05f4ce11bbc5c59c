"""Where a person sees more: the catalog's links, Prometheus queries, consoles, the repository. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runbook_model.catalog.catalog import Target

CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
"""The console's host by the beginning of the region's name."""


def links_of(target: Target, queries: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return addresses by name; what the catalog says goes before what is made here.

    Args:
        target: whose consoles they are.
        queries: PromQL by what it asks for.
    """
    return dict(_made(target, queries or {})) | target.links


def database_console(target: Target) -> dict[str, str]:
    """Return the console of the target's RDS instance; nothing where the catalog names none."""
    instance = target.database.rds_instance if target.database else None
    if not instance:
        return {}
    return {"RDS console": f"{_console(target)}/rds/home?region={target.region}#database:id={instance}"}


def _made(target: Target, queries: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if target.prometheus_url:
        for name, query in queries.items():
            graph = f"{target.prometheus_url}/graph?g0.expr={quote(query, safe='')}&g0.tab=0"
            yield f"Prometheus: {name}", graph
    if target.platform == "ecs":
        region, console = target.region, _console(target)
        service = f"clusters/{quote(target.cluster)}/services/{quote(target.ecs_service)}"
        yield "ECS console", f"{console}/ecs/v2/{service}/health?region={region}"
        if target.log_group:
            # The console wants the name's percent signs written as "$25".
            group = quote(quote(target.log_group, safe=""), safe="").replace("%", "$")
            address = f"{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}"
            yield "CloudWatch logs", address
    if target.repository:
        yield "repository", target.repository


def _console(target: Target) -> str:
    host = next(
        (host for begin, host in CONSOLES.items() if target.region.startswith(begin)),
        "console.aws.amazon.com",
    )
    return f"https://{target.region}.{host}"
