"""What a service depends on, or is seen by: its addresses, its Terraform module, its database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from activities.docker.postgres import PostgresContainer
from activities.doctor.looking import WrongError, naming
from activities.http.client import http_errors, redirect_of
from activities.postgres.activities import DatabaseActivities
from activities.postgres.connections import Databases
from activities.prometheus.scrape import parse
from activities.rds.activities import RdsActivities
from activities.terraform.program import Module
from runbook_model.catalog.service_policies import Terraform
from runbook_model.measured.database import AVAILABLE
from runbook_model.text.sentences import quote

if TYPE_CHECKING:
    import httpx

    from activities.doctor.service import ServiceLook


class _Diagnostic(BaseModel):
    severity: str
    summary: str
    detail: str = ""


class _Validation(BaseModel):
    valid: bool
    diagnostics: tuple[_Diagnostic, ...] = ()

    @property
    def problem(self) -> str:
        """The first error, as text."""
        errors = (diagnostic for diagnostic in self.diagnostics if diagnostic.severity == "error")
        words = (f"{error.summary}: {error.detail}".strip(": ") for error in errors)
        return quote(next(words, "it does not say why"))


async def validate(owner: Terraform, environment: Callable[[], Mapping[str, str]]) -> str:
    """Run ``terraform validate`` in a module, which reads nothing but the module itself.

    Args:
        owner: what the catalog says of the module.
        environment: makes the program's environment.

    Raises:
        InputError: there is no Terraform, or no such folder.
        OutsideError: there are no credentials for it.
        WrongError: the module is not initialised, or not valid.
    """
    module, directory = Module(owner, environment), owner.directory
    name = Path(module.program).name
    with TemporaryDirectory(prefix="runbook-doctor-") as folder:
        _, output = await module.run("validate", "-json", workplace=Path(folder))
        text = output.read_text(encoding="utf-8", errors="replace")
    try:
        found = _Validation.model_validate_json(text)
    except ValidationError:
        raise WrongError(f"{name} validate said nothing that can be read: {quote(text)}") from None
    if found.valid:
        return f"{name} is there, and {directory} is valid"
    if f"{name} init" in found.problem or "terraform init" in found.problem:
        raise WrongError(
            f"{directory} is not initialised: {found.problem}", f"{name} -chdir={directory} init"
        )
    raise WrongError(
        f"{directory} is not valid: {found.problem}", f"{name} -chdir={directory} validate shows all"
    )


async def validate_module(look: ServiceLook) -> str:
    """Validate the Terraform module."""
    owner = look.set(look.target.terraform, "terraform")
    return await validate(owner, partial(look.clients.environment, look.target.account))


async def read_health(look: ServiceLook) -> str:
    """Ask the service's address for its health."""
    address = look.target.health_url
    async with _get(look, address, "ask for the health", "health_path") as response:
        status = response.status_code
    if status >= 500:
        raise WrongError(
            f"{address} answers {status}: the service itself is unhealthy",
            f"runbook start service-down {look.target.key}",
        )
    if not 200 <= status < 300:
        raise WrongError(f"{address} answers {status}")
    return f"{address} answers {status}"


async def read_metrics(look: ServiceLook) -> str:
    """Scrape the service itself, as is done when Prometheus is away."""
    address, doing = look.target.metrics_url, "scrape it"
    async with _get(look, address, doing, "metrics_path") as response:
        with naming(address), http_errors(doing):
            response.raise_for_status()
            await response.aread()
    found = parse(response.text, datetime.now(UTC), look.target.convention)
    if found.process is None:
        raise WrongError(f"{address} has no process_start_time_seconds, so tasks cannot be distinguished")
    return f"{address} answers"


@asynccontextmanager
async def _get(look: ServiceLook, address: str, doing: str, path: str) -> AsyncIterator[httpx.Response]:
    """Ask an address of the service, without reading the body; one that leads elsewhere is not the service's."""
    look.set(look.target.url, "url")
    request = look.sources.http.build_request("GET", address)
    with naming(address), http_errors(doing):
        response = await look.sources.http.send(request, stream=True)
    try:
        if redirect := redirect_of(response):
            fix = f"set url or {path} in {look.target.table} to where it leads"
            raise WrongError(f"{address} {redirect}", fix)
        yield response
    finally:
        await response.aclose()


def connect(look: ServiceLook) -> str:
    """Connect to the database, or ask it in its container."""
    database = look.set(look.target.database, "database")
    if database.dsn_env is None:
        answer = PostgresContainer(look.sources.engine).read_server(look.target)
        accepts, summary = answer.accepts, answer.summary
    else:
        connected = DatabaseActivities(Databases()).test_connection(look.target)
        accepts, summary = connected.ok, connected.summary
    if not accepts:
        raise WrongError(summary)
    return summary


def read_instance(look: ServiceLook) -> str:
    """Describe the RDS instance that may be rebooted."""
    database = look.target.database
    look.set(database and database.rds_instance, "rds_instance")
    found = RdsActivities(look.clients).read_instance(look.target)
    if found.status != AVAILABLE:
        raise WrongError(found.summary, "look at the instance's events in the RDS console")
    return found.summary
