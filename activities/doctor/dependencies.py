"""What a service depends on, or is seen by: its addresses, its Prometheus, its Terraform module, its database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from activities.docker.postgres import PostgresContainer
from activities.doctor.looking import NotSetError, Question, Threads, WrongError, questions
from activities.doctor.queries import NEEDED, OF_FAILURES, label_of, name_label, name_missing, queries_of
from activities.http.client import http_errors, redirect_of
from activities.postgres.activities import DatabaseActivities
from activities.postgres.connections import Databases
from activities.prometheus import promql
from activities.prometheus.client import NoData, Prometheus
from activities.prometheus.failures import find_failures
from activities.prometheus.scrape import parse
from activities.rds.activities import RdsActivities
from activities.terraform.program import Module
from runbook_model.catalog.service_policies import Terraform
from runbook_model.catalog.target import Target
from runbook_model.errors import OutsideError
from runbook_model.measured.database import AVAILABLE
from runbook_model.text.sentences import quote

if TYPE_CHECKING:
    import httpx

    from activities.measuring.sources import Sources
    from activities.prometheus.promql import Failures


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
        found = _Validation.model_validate(_document(text))
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


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


COUNT_THEM = "count failures in {}, or give {} a label status with the HTTP status"

NAME_THEM = "set metrics.preset or metrics.failures in {} to what counts failures"


class DependencyQuestions:
    """The questions about what a service depends on."""

    def __init__(self, sources: Sources, threads: Threads, target: Target) -> None:
        self._clients = sources.aws
        self._engine = sources.engine
        self._http = sources.http
        self._prometheus = sources.stores.of(target)
        self._threads = threads
        self._target = target
        self._table = f"[services.{target.service}.{target.environment}]"

    def all(self) -> list[Question]:
        """Return them all, a question for each query of PromQL included."""
        functions = {
            "health": self.read_health,
            "metrics": self.read_metrics,
            "terraform": self.validate_module,
            "database": self.connect,
            "rds-instance": self.read_instance,
            **self._queries(),
        }
        target = self._target
        return questions(functions, table=self._table, service=target.service, environment=target.environment)

    async def read_health(self) -> str:
        """Ask the service's address for its health."""
        self._check_url()
        address = self._target.health_url
        async with self._get(address, "ask for the health", "health_path") as response:
            status = response.status_code
        if status >= 500:
            raise WrongError(
                f"{address} answers {status}: the service itself is unhealthy",
                f"runbook start service-down {self._target.key}",
            )
        if not 200 <= status < 300:
            raise WrongError(f"{address} answers {status}")
        return f"{address} answers {status}"

    async def read_metrics(self) -> str:
        """Scrape the service itself, as is done when Prometheus is away."""
        self._check_url()
        address, doing = self._target.metrics_url, "scrape it"
        async with self._get(address, doing, "metrics_path") as response:
            with _naming(address), http_errors(doing):
                response.raise_for_status()
                await response.aread()
        found = parse(response.text, datetime.now(UTC), self._target.convention)
        if found.process is None:
            raise WrongError(f"{address} has no process_start_time_seconds, so tasks cannot be distinguished")
        return f"{address} answers"

    @asynccontextmanager
    async def _get(self, address: str, doing: str, path: str) -> AsyncIterator[httpx.Response]:
        """Ask an address of the service, without reading the body; one that leads elsewhere is not the service's."""
        request = self._http.build_request("GET", address)
        with _naming(address), http_errors(doing):
            response = await self._http.send(request, stream=True)
        try:
            if redirect := redirect_of(response):
                fix = f"set url or {path} in {self._table} to where it leads"
                raise WrongError(f"{address} {redirect}", fix)
            yield response
        finally:
            await response.aclose()

    async def validate_module(self) -> str:
        """Validate the Terraform module."""
        if self._target.terraform is None:
            raise NotSetError(f"no terraform in {self._table}")
        environment = partial(self._clients.environment, self._target.account)
        return await validate(self._target.terraform, environment)

    async def connect(self) -> str:
        """Connect to the database, or ask it in its container."""
        database = self._target.database
        if database is None:
            raise NotSetError(f"no database in {self._table}")
        if database.dsn_env is None:
            answer = await self._threads.run(PostgresContainer(self._engine).read_server, self._target)
            if not answer.accepts:
                raise WrongError(answer.summary)
            return answer.summary
        connected = await self._threads.run(DatabaseActivities(Databases()).test_connection, self._target)
        if not connected.ok:
            raise WrongError(connected.summary)
        return connected.summary

    async def read_instance(self) -> str:
        """Describe the RDS instance that may be rebooted."""
        if self._target.database is None or self._target.database.rds_instance is None:
            raise NotSetError(f"no rds_instance in {self._table}")
        found = await self._threads.run(RdsActivities(self._clients).read_instance, self._target)
        if found.status != AVAILABLE:
            raise WrongError(found.summary, "look at the instance's events in the RDS console")
        return found.summary

    def _queries(self) -> dict[str, Callable[[], Awaitable[str]]]:
        if (prometheus := self._prometheus) is None:
            return {}
        return {
            f"prometheus-{name}": partial(self._query, prometheus, name, query)
            for name, query in queries_of(self._target).items()
        }

    async def _query(self, prometheus: Prometheus, name: str, query: str) -> str:
        failures = await self._failures(prometheus) if name in OF_FAILURES else None
        asked = queries_of(self._target, failures)[name] if failures else query
        rows = await prometheus.rows(asked)
        if isinstance(rows, NoData):
            raise WrongError(rows.why)
        label = label_of(self._target, name, failures)
        if rows and label and not any(labels.get(label) for labels, _ in rows):
            unlabelled = await name_label(prometheus, self._target, label)
            raise NotSetError(f"Prometheus has data, by no {label}{unlabelled and f': {unlabelled}'}")
        if rows:
            return "has data"
        missing = await name_missing(prometheus, self._target, asked)
        if name == NEEDED:
            ours = promql.selector(self._target, None)[1:-1]
            fix = f"let Prometheus scrape the service with the labels {ours}, or correct metrics in {self._table}"
            raise WrongError(f"Prometheus has no series of the service: {missing or asked}", fix)
        raise NotSetError(f"Prometheus understands it and has no data{missing and f': {missing}'}")

    async def _failures(self, prometheus: Prometheus) -> Failures | None:
        """Return by what failures are counted; where requests are counted, something must count them."""
        target, convention = self._target, self._target.convention
        if not await prometheus.rows(queries_of(target)[NEEDED]):
            return None
        failures = await find_failures(prometheus, target, datetime.now(UTC))
        if not isinstance(failures, NoData):
            return failures
        if convention.by_matcher:
            labels = [await name_label(prometheus, target, item.name) for item in convention.failing]
            missing = next(filter(None, labels), "")
        else:
            query = promql.of_target(convention.failures, target, None)
            missing = await name_missing(prometheus, target, query)
        names = (convention.failures.text, convention.requests.text)
        fix = COUNT_THEM.format(*names) if convention.by_status else NAME_THEM.format(self._table)
        said, _, more = missing.partition("; ")
        raise WrongError(
            "; ".join(filter(None, (failures.why, more if said in failures.why else missing))), fix
        )

    def _check_url(self) -> None:
        if self._target.url is None:
            raise NotSetError(f"no url in {self._table}")


@contextmanager
def _naming(address: str) -> Iterator[None]:
    """Say which address it was that did not answer."""
    try:
        yield
    except OutsideError as error:
        raise WrongError(f"{address}: {error.message}", error.fix) from error
