"""What doctor asks of a service: its addresses by httpx's MockTransport, ECS by Stubber, Terraform by the program."""

import inspect

import httpx
import pytest
from botocore.stub import Stubber

from activities.aws.clients import AwsClients
from activities.docker.engine import Engine
from activities.doctor.checkup import SERVICE
from activities.doctor.looking import look
from activities.doctor.queries import NEEDED, ask_queries, queries_of
from activities.doctor.service import ServiceLook
from activities.measuring.sources import Sources
from activities.prometheus import promql
from runbook_model.catalog.metrics import Metrics
from runbook_model.catalog.service_policies import Database, Terraform
from tests.aws_answers import HERE, Ecs, service, services
from tests.integration.terraform.terraform_stage import program
from tests.observing import a_target, client
from tests.small_engine import container, small_engine

METRICS = 'process_start_time_seconds 1\nhttp_requests_total{endpoint="/"} 3\n'

REQUESTS = "http_requests_total"
OURS = {"service": "ai-processor", "environment": "prod"}


SPRING = "http_server_requests_seconds_count"


def vector(*rows):
    return httpx.Response(
        200, json={"status": "success", "data": {"resultType": "vector", "result": list(rows)}}
    )


def listing(*names):
    return httpx.Response(200, json={"status": "success", "data": list(names)})


class Store:
    """A Prometheus that has some metrics, each of one series with these labels; no labels count as the target's."""

    def __init__(self, metrics):
        self.metrics = metrics

    def __call__(self, request):
        asked, path = dict(request.url.params), request.url.path
        if path.endswith("/query"):
            known = any(
                f"({name}{{" in asked["query"] and labels == {} for name, labels in self.metrics.items()
            )
            rows = [{"metric": {}, "value": [0, "1"]}] if known else []
            return httpx.Response(
                200, json={"status": "success", "data": {"resultType": "vector", "result": rows}}
            )
        return httpx.Response(
            200, json={"status": "success", "data": self.listed(path, asked.get("match[]"))}
        )

    def listed(self, path, match):
        if path.endswith("__name__/values"):
            ours = match.startswith(("{service", "{application"))
            return [
                name for name, labels in self.metrics.items() if not ours or labels == OURS or self.counted
            ]
        labels = self.metrics.get(match, {})
        if path.endswith("/labels"):
            return ["__name__", *labels]
        return [value for name, value in labels.items() if f"/{name}/" in path]

    @property
    def counted(self):
        return REQUESTS in self.metrics and self.metrics[REQUESTS] == {}


def answering(status=200, text=METRICS):
    return lambda _: httpx.Response(status, text=text)


def refusing(request):
    raise httpx.ConnectError("nobody listens", request=request)


async def ask(name, answer=refusing, *, ecs=None, clients=None, **changes):
    ecs = ecs or Ecs()
    sources = Sources(clients or ecs.clients, Engine(), client(answer))
    target = a_target(**changes)
    with ecs.asked_for_exactly_this():
        questions = {**SERVICE, **ask_queries(target)}
        (found,) = await look({name: questions[name]}, ServiceLook(sources, target), target)
        return found


class TestAddresses:
    @pytest.mark.parametrize("name", ["health", "metrics"])
    async def test_that_answer_are_in_place(self, name):
        wording = await ask(name, answering())
        assert (wording.ok, wording.fix) == (True, None)

    @pytest.mark.parametrize("name", ["health", "metrics"])
    async def test_that_are_not_configured_are_not_asked(self, name):
        assert (await ask(name, url=None)).ok is None

    @pytest.mark.parametrize("answer", [refusing, answering(404), answering(302)])
    async def test_without_health_are_red_and_lead_to_the_catalog(self, answer):
        wording = await ask("health", answer)
        assert wording.ok is False
        assert wording.fix == "correct url or health_path in [services.ai-processor.prod]"

    @pytest.mark.parametrize(("name", "path"), [("health", "health_path"), ("metrics", "metrics_path")])
    async def test_that_redirect_are_red_with_where_they_lead(self, name, path):
        redirect = httpx.Response(301, headers={"location": "https://service.test/x"})
        wording = await ask(name, lambda _: redirect)
        assert wording.ok is False
        assert "answers 301, a redirect to https://service.test/x" in wording.detail
        assert wording.fix == f"set url or {path} in [services.ai-processor.prod] to where it leads"

    @pytest.mark.parametrize("name", ["health", "metrics"])
    async def test_are_asked_at_the_paths_that_the_catalog_names(self, name):
        def answer(request):
            return httpx.Response(200 if request.url.path == f"/own/{name}" else 404, text=METRICS)

        wording = await ask(name, answer, health_path="/own/health", metrics_path="/own/metrics")
        assert wording.ok is True

    async def test_whose_service_is_unhealthy_lead_to_the_procedure(self):
        wording = await ask("health", answering(503))
        assert wording.ok is False
        assert wording.fix == "runbook start service-down prod/ai-processor"

    @pytest.mark.parametrize(
        ("answer", "detail"),
        [
            (answering(404), "HTTP 404"),
            (answering(text="http_requests_total 3\n"), "has no process_start_time_seconds"),
            (answering(text="http_requests_total{ 3"), "could not read"),
        ],
    )
    async def test_whose_metrics_cannot_be_used_are_red(self, answer, detail):
        wording = await ask("metrics", answer)
        assert wording.ok is False
        assert detail in wording.detail


class TestQueries:
    def test_are_all_that_the_product_asks(self):
        composed = {"selector", "of_target", "of_users", "by_status", "counter_of", "span"}
        own = {
            name.replace("_", "-")
            for name, function in inspect.getmembers(promql, inspect.isfunction)
            if function.__module__ == promql.__name__ and name not in composed and name[0] != "_"
        }
        assert set(queries_of(a_target())) == own

    def test_by_release_need_its_label(self):
        left_out = set(queries_of(a_target())) - set(queries_of(a_target(release_label=None)))
        assert left_out == {"error-share-by-release", "requests-by-release"}

    @pytest.mark.parametrize(
        ("name", "series", "ok"),
        [("error-share", 1, True), ("error-share", 0, None), (NEEDED, 1, True), (NEEDED, 0, False)],
    )
    async def test_without_data_are_red_only_where_the_service_is_not_scraped_at_all(self, name, series, ok):
        rows = [{"metric": {}, "value": [0, "1"]}] * series
        answer = {"status": "success", "data": {"resultType": "vector", "result": rows}}
        wording = await ask(f"prometheus-{name}", lambda _: httpx.Response(200, json=answer))
        assert wording.ok is ok
        assert wording.ok is not False or 'service="ai-processor", environment="prod"' in wording.fix

    async def test_of_failures_that_nothing_counts_are_red_with_the_nearest_that_exists(self):
        wording = await ask("prometheus-error-share", Store({"http_request_errors_total": {}, REQUESTS: {}}))
        assert wording.ok is False
        assert "nothing counts failures" in wording.detail
        assert wording.detail.endswith("the nearest is http_request_errors_total")
        assert wording.detail.count("there is no") == 1
        assert wording.fix.startswith(
            "count failures in http_errors_total, or give http_requests_total a label"
        )

    @pytest.mark.parametrize(
        ("metrics", "missing"),
        [
            ({"http_request_total": OURS}, "there is no http_requests_total of {"),
            ({"http_request_total": OURS}, "; the nearest is http_request_total"),
            (
                {"http_request_total": {}},
                "there is no http_requests_total; the nearest is http_request_total",
            ),
            (
                {"scrape_requests_total": OURS, "http_request_total": OURS},
                "the nearest is http_request_total",
            ),
            ({REQUESTS: {"app": "x"}}, "http_requests_total has no label service"),
            ({REQUESTS: {"services": "x"}}, "no label service; the nearest is services"),
            (
                {REQUESTS: OURS | {"service": "ai-processors"}},
                'has no service="ai-processor"; the nearest is ai-processors',
            ),
            (
                {REQUESTS: OURS | {"environment": "production"}},
                'no environment="prod"; the nearest is production',
            ),
        ],
    )
    async def test_name_the_metric_or_the_label_that_is_missing(self, metrics, missing):
        wording = await ask(f"prometheus-{NEEDED}", Store(metrics))
        assert wording.ok is False
        assert missing in wording.detail

    @pytest.mark.parametrize(
        ("query", "metrics", "says"),
        [
            (NEEDED, {"http_server_request_seconds_count": {}}, "there is no http_server_requests_seconds_count; the nearest is http_server_request_seconds_count"),
            (NEEDED, {SPRING: {"app": "ai-processor"}}, f"{SPRING} has no label application; the nearest is app"),
            (NEEDED, {SPRING: {"application": "ai_processor"}}, 'has no application="ai-processor"; the nearest is ai_processor'),
        ],
    )  # fmt: skip
    async def test_of_a_preset_name_its_metric_or_label_that_is_missing(self, query, metrics, says):
        wording = await ask(f"prometheus-{query}", Store(metrics), metrics=Metrics(preset="spring"))
        assert wording.ok is False
        assert says in wording.detail

    async def test_of_failures_whose_label_is_missing_name_the_nearest_label(self):
        ours = f'{SPRING}{{application="ai-processor"}}'

        def answer(request):
            asked, path = dict(request.url.params), request.url.path
            if path.endswith("/labels"):
                assert asked["match[]"] == ours
                return listing("__name__", "outcomes", "uri")
            return vector({"metric": {}, "value": [0, "1"]})

        wording = await ask("prometheus-error-share", answer, metrics=Metrics(preset="spring"))
        assert wording.ok is False
        assert wording.detail.startswith(f"nothing counts failures: {ours} has no label outcome; ")
        assert wording.detail.endswith("no series has a label outcome; the nearest is outcomes")
        assert wording.fix.startswith(
            "set metrics.preset or metrics.failures in [services.ai-processor.prod]"
        )

    @pytest.mark.parametrize(
        ("query", "key", "name", "nearest"),
        [
            ("p95-seconds", "latency", "http_server_request_seconds", "http_server_requests_seconds_bucket"),
            ("p95-by-endpoint", "endpoint_label", "url", "uri"),
            ("errors-by-type", "type_label", "exceptions", "exception"),
            ("requests-by-release", "release_label", "releases", "release"),
        ],
    )
    async def test_whose_name_the_catalog_gives_are_red_where_no_series_has_it(
        self, query, key, name, nearest
    ):
        def answer(request):
            asked, path = request.url.params.get("query", ""), request.url.path
            if path.endswith("/values"):
                return listing(SPRING, "http_server_requests_seconds_bucket")
            if path.endswith("/labels"):
                return listing("__name__", "application", "uri", "exception", "release", "outcome")
            series = {"outcome": "SUCCESS"} if asked.startswith("count by") else {}
            return vector(*[{"metric": series, "value": [0, "1"]}] * ("request_seconds" not in asked))

        metrics = Metrics(
            **{"preset": "spring", "failures": 'http_server_requests_seconds_count{outcome!="SUCCESS"}'}
            | {key: name}
        )
        release = {"release_label": name if key == "release_label" else "release"}
        wording = await ask(f"prometheus-{query}", answer, metrics=metrics, **release)
        assert wording.ok is False, wording
        assert wording.detail.endswith(f"the nearest is {nearest}")
        assert wording.fix == f'correct {key} in the catalog, which is "{name}"'

    async def test_of_latency_say_nothing_of_its_name_where_the_service_is_not_found_at_all(self):
        store = Store({"http_request_total": {}})
        wording = await ask("prometheus-p95-seconds", store, metrics=Metrics(latency="seconds"))
        assert wording.ok is None

    @pytest.mark.parametrize(
        ("metrics", "unknown"),
        [
            ({"selector": {"service": "{service}", "deployment.environment": "{environment}"}}, {"usual", "memory-bytes", "p95-seconds"}),
            ({"endpoint_label": "http.route"}, {"p95-by-endpoint", "mean-by-endpoint"}),
            ({"latency": '{"http.server.request.duration"}'}, {"p95-seconds", "latency-buckets"}),
            ({"requests": '{"http.server.requests"}'}, {"request-count", "errors-by-type"}),
        ],
    )  # fmt: skip
    async def test_with_names_in_quotes_are_refused_once_by_a_prometheus_that_reads_none(
        self, metrics, unknown
    ):
        def answer(request):
            if "absent(" in request.url.params.get("query", ""):
                refusal = {"status": "error", "errorType": "bad_data", "error": "unexpected string"}
                return httpx.Response(400, json=refusal)
            return vector({"metric": {}, "value": [0, "1"]})

        needed = await ask(f"prometheus-{NEEDED}", answer, metrics=Metrics(**metrics))
        assert needed.ok is False
        assert "Prometheus reads no names in quotes, as " in needed.detail
        assert needed.fix.startswith(
            "use Prometheus 3, or set metrics in [services.ai-processor.prod] to the names"
        )
        for name in unknown:
            other = await ask(f"prometheus-{name}", answer, metrics=Metrics(**metrics))
            assert (other.ok, other.detail) == (None, "unknown: prometheus-sample-age is not in place")

    async def test_of_a_breakdown_say_which_label_is_missing(self):
        def answer(request):
            if request.url.path.endswith("/labels"):
                return listing("url")
            return vector({"metric": {}, "value": [0, "1"]})

        wording = await ask("prometheus-p95-by-endpoint", answer, metrics=Metrics(preset="spring"))
        assert wording.ok is None
        assert wording.detail.endswith("by no uri: no series has a label uri; the nearest is url")

    async def test_of_buckets_that_a_library_does_not_write_say_how_it_does(self):
        def answer(request):
            if request.url.path.endswith("/values"):
                return listing(SPRING, "http_server_requests_seconds_sum")
            return vector()

        wording = await ask("prometheus-p95-seconds", answer, metrics=Metrics(preset="spring"))
        assert "there is no http_server_requests_seconds_bucket of {" in wording.detail
        assert wording.detail.endswith("percentiles-histogram.http.server.requests=true")

    def test_of_latency_that_is_not_known_are_not_asked(self):
        asked = queries_of(a_target(metrics=Metrics(latency_kind="none")))
        assert not {"p95-seconds", "latency-buckets", "p95-by-endpoint", "mean-by-endpoint"} & {*asked}

    async def test_that_prometheus_refuses_are_red_with_its_complaint(self):
        answer = {"status": "error", "errorType": "bad_data", "error": "parse error at char 7"}
        wording = await ask("prometheus-usual", lambda _: httpx.Response(400, json=answer))
        assert wording.ok is False
        assert "parse error at char 7" in wording.detail

    def test_are_none_without_a_prometheus(self):
        assert ask_queries(a_target(prometheus_url=None)) == {}


class TestService:
    @pytest.mark.parametrize(
        ("found", "ok", "detail"),
        [
            (service(), True, "is ACTIVE, 2 of 2 tasks run"),
            (service(status="INACTIVE"), False, "is INACTIVE"),
            (service(desiredCount=0), False, "wants 0 tasks, so nothing runs"),
        ],
    )
    async def test_must_be_active_and_want_tasks(self, found, ok, detail):
        ecs = Ecs()
        ecs.answers("describe_services", services(found))
        wording = await ask("service", ecs=ecs)
        assert wording.ok is ok
        assert detail in wording.detail

    async def test_that_is_not_there_leads_to_the_catalog(self):
        ecs = Ecs()
        ecs.answers("describe_services", services())
        wording = await ask("service", ecs=ecs)
        assert (wording.ok, wording.fix) == (False, "correct cluster or ecs_service in the catalog")

    @pytest.mark.parametrize(
        "name",
        ["deployments", "tasks", "task-definitions", "autoscaling", "cloudwatch", "load-balancer"],
    )
    async def test_by_compose_is_asked_nothing_of_aws(self, name):
        assert (await ask(name, platform="compose")).ok is None

    @pytest.mark.parametrize(("tasks", "detail"), [(["arn"], "described"), ([], "there is none to describe")])
    async def test_may_have_its_tasks_read(self, tasks, detail):
        ecs = Ecs()
        ecs.answers("list_tasks", {"taskArns": tasks})
        if tasks:
            ecs.answers("describe_tasks", {"tasks": [{"taskArn": "arn"}]})
        wording = await ask("tasks", ecs=ecs)
        assert wording.ok is True
        assert detail in wording.detail


class TestContainers:
    @pytest.mark.parametrize(
        ("found", "ok", "detail", "fix"),
        [
            (container("demo", "app"), True, "demo-app-1 running", ""),
            (
                container("demo", "app", health="unhealthy"),
                False,
                "no container of it serves",
                "service-down",
            ),
            (container("demo", "app", "exited"), False, "no container of it serves", "service-down"),
            (container("demo", "other"), False, 'no container of a service "app"', "correct compose_service"),
        ],
    )
    async def test_of_a_compose_service_must_serve(self, monkeypatch, found, ok, detail, fix):
        with small_engine(found) as address:
            monkeypatch.setenv("DOCKER_HOST", address)
            clients = AwsClients()
            wording = await ask(
                "service", clients=clients, platform="compose", compose_project="demo", compose_service="app"
            )
        assert wording.ok is ok, wording.detail
        assert detail in wording.detail
        assert fix in (wording.fix or "")


class TestModule:
    @pytest.mark.parametrize(
        ("text", "ok", "detail", "fix"),
        [
            ('resource "terraform_data" "x" { input = 1 }', True, "is valid", ""),
            ('resource "terraform_data" "x" { no_such = 1 }', False, "is not valid", "validate shows all"),
            ('module "part" { source = "./part" }', False, "is not initialised", " init"),
        ],
    )
    async def test_must_be_initialised_and_valid(self, tmp_path, text, ok, detail, fix):
        program()  # or say how to install it
        (tmp_path / "main.tf").write_text(text)
        wording = await ask("terraform", terraform=Terraform(directory=str(tmp_path)))
        assert wording.ok is ok, wording.detail
        assert detail in wording.detail
        assert fix in (wording.fix or "")
        assert [item.name for item in tmp_path.iterdir()] == ["main.tf"]

    async def test_must_be_where_the_catalog_says(self, tmp_path):
        wording = await ask("terraform", terraform=Terraform(directory=str(tmp_path / "nowhere")))
        assert (wording.ok, wording.fix) == (False, "correct terraform.directory")

    async def test_needs_the_program(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        wording = await ask("terraform", terraform=Terraform(directory=str(tmp_path)))
        assert (wording.ok, wording.fix) == (False, "put terraform or tofu on its PATH")

    async def test_is_not_looked_for_where_there_is_none(self):
        assert (await ask("terraform")).ok is None


class TestDatabase:
    async def test_is_not_looked_for_where_there_is_none(self):
        assert (await ask("database")).ok is None

    async def test_needs_its_dsn(self, monkeypatch):
        monkeypatch.delenv("SHOP_DSN", raising=False)
        wording = await ask("database", database=Database(dsn_env="SHOP_DSN"))
        assert wording.ok is False
        assert "has no SHOP_DSN" in wording.detail
        assert wording.fix == "set it to the DSN of the database, or correct dsn_env in the catalog"

    async def test_that_is_down_is_red_without_its_password(self, monkeypatch, tmp_path):
        monkeypatch.setenv("SHOP_DSN", f"host={tmp_path} user=shop password=correct-horse")
        wording = await ask("database", database=Database(dsn_env="SHOP_DSN"))
        assert wording.ok is False
        assert wording.detail.startswith("no connection: ")
        assert "correct-horse" not in wording.detail

    @pytest.mark.parametrize(
        ("status", "ok"), [("available", True), ("rebooting", False), ("storage-full", False)]
    )
    async def test_whose_rds_instance_may_be_rebooted_must_have_it_available(self, status, ok):
        ecs = Ecs()
        rds = Stubber(ecs.clients.rds(HERE))
        found = {"DBInstanceIdentifier": "shop-db", "DBInstanceStatus": status}
        rds.add_response("describe_db_instances", {"DBInstances": [found]})
        rds.add_response("describe_events", {"Events": []})
        with rds:
            wording = await ask(
                "rds-instance", ecs=ecs, database=Database(dsn_env="X", rds_instance="shop-db")
            )
        assert wording.ok is ok
        assert f"shop-db is {status}" in wording.detail

    async def test_without_an_rds_instance_is_asked_nothing_of_rds(self):
        assert (await ask("rds-instance", database=Database(dsn_env="X"))).ok is None
