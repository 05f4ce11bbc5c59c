import dataclasses
import re
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.catalog.activities import CatalogActivities
from activities.runtime.interceptors import EnvironmentGuard
from runbook_model.catalog.catalog import Catalog, load_catalog, parse_catalog
from runbook_model.catalog.incident_policy import TargetNames
from runbook_model.catalog.target import Target
from runbook_model.errors import CatalogError, PolicyError, UnknownTargetError

SMALLEST = """
[environments.prod]
cluster = "shop-prod"
[services.shop.prod]
ecs_service = "shop"
"""
FULL = """
[environments.prod]
platform = "ecs"
region = "us-east-1"
cluster = "ai-processor-prod"
prometheus_url = "http://127.0.0.1:9090"
approvals = { needed = 1, people = ["bob", "carol"], requester_may = false, remind = "5m", escalate = "10m", timeout = "30m", on_timeout = "not-approved" }
brake = { per_service_per_hour = 3, targets_at_once = 5 }
[environments.local]
platform = "compose"

[services.ai-processor]
repository = "https://git.test/ai-processor"
[services.ai-processor.prod]
ecs_service = "ai-processor-service-prod"
url = "http://service.test:8080"
log_group = "/ecs/ai-processor-prod"
thresholds = { error_rate = 0.10, p95_seconds = 1.0, cpu = 0.80, memory = 0.85, min_requests = 50 }
verify = { bake = "5m", rate_window = "5m", consecutive = 5 }
rollback = { strategy = "terraform", soak = "1h" }
terraform = { directory = "infra", image_variable = "image_tag" }
scale = { errors = 5, latency = 4, resources = 5, max = 10, hold = "1h", cpu = 512, memory = 1024 }
database = { dsn_env = "AI_PROCESSOR_DSN" }
probe = { path = "/api/v1/process", body = '{"test": "data"}' }
[services.ai-processor.local]
url = "http://127.0.0.1:8000"

[[alerts]]
name = "ServiceDown"
severity = "critical"
respond_within = "0s"
procedure = "service-down"

[[contacts]]
name = "On-call SRE"
channel = "#incidents"

[links]
grafana = "https://grafana.test"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(CatalogError) as raised:
        parse_catalog(text, "catalog.toml")
    assert len(str(raised.value).splitlines()) == 1
    return list(raised.value.problems)


def test_a_wrong_catalog_is_one_line_with_its_first_problem_and_where_to_see_all():
    assert str(CatalogError("one")) == "one; `runbook catalog check` shows all"
    assert str(CatalogError("one", "two", "three")) == "one (and 2 more); `runbook catalog check` shows all"


def with_prod(line: str) -> str:
    return SMALLEST.replace('cluster = "shop-prod"', f'cluster = "shop-prod"\n{line}')


def test_everything_that_the_contract_shows_is_read():
    catalog = parse_catalog(FULL, "catalog.toml")
    assert set(catalog.services["ai-processor"].environments) == {"prod", "local"}
    assert catalog.services["ai-processor"].environments["prod"].scale.hold == timedelta(hours=1)
    assert catalog.alerts[0].respond_within == timedelta(0)
    assert catalog.contacts[0].channel == "#incidents"
    assert catalog.environments["prod"].approvals.people == ("bob", "carol")


def test_the_defaults_are_the_runbooks():
    placement = parse_catalog(SMALLEST, "catalog.toml").services["shop"].environments["prod"]
    thresholds, verify, scale = placement.thresholds, placement.verify, placement.scale
    assert (thresholds.error_rate, thresholds.p95_seconds) == (0.10, 1.0)
    assert (thresholds.cpu, thresholds.memory, thresholds.min_requests) == (0.80, 0.85, 50)
    assert (scale.errors, scale.latency, scale.resources) == (5, 4, 5)
    assert (scale.max, scale.cpu, scale.memory, scale.hold) == (10, 512, 1024, timedelta(hours=1))
    assert (verify.bake, verify.rate_window, verify.consecutive) == (
        timedelta(minutes=5),
        timedelta(minutes=5),
        5,
    )
    assert (placement.rollback.strategy, placement.rollback.soak) == ("task-definition", timedelta(hours=1))


def test_by_default_one_other_person_approves_within_half_an_hour():
    environment = parse_catalog(SMALLEST, "catalog.toml").environments["prod"]
    approvals, brake = environment.approvals, environment.brake
    assert (approvals.needed, approvals.people, approvals.requester_may) == (1, (), False)
    assert (approvals.remind, approvals.escalate) == (timedelta(minutes=5), timedelta(minutes=10))
    assert (approvals.timeout, approvals.on_timeout) == (timedelta(minutes=30), "not-approved")
    assert (brake.per_service_per_hour, brake.targets_at_once) == (3, 5)


SHOP = "catalog.toml: services.shop.prod"
WRONG = [
    (
        SMALLEST.replace("ecs_service", "ecs_servise"),
        f'{SHOP}.ecs_servise = "shop": unknown key (did you mean ecs_service?); remove it or correct its name',
    ),
    (
        SMALLEST + "thresholds = { eror_rate = 0.2 }",
        f"{SHOP}.thresholds.eror_rate = 0.2: unknown key (did you mean error_rate?); remove it or correct its name",
    ),
    (
        SMALLEST + "colour = 'red'",
        f'{SHOP}.colour = "red": unknown key; remove it or correct its name',
    ),
    (
        SMALLEST + "thresholds = { error_rate = 10 }",
        f"{SHOP}.thresholds.error_rate = 10: input should be less than or equal to 1",
    ),
    (
        SMALLEST + "verify = { bake = 'soon' }",
        f'{SHOP}.verify.bake = "soon": must be a duration such as "90s", "5m" or "1h30m"',
    ),
    (
        SMALLEST + "verify = { lag = 3 }",
        f'{SHOP}.verify.lag = 3: must be a duration such as "90s", "5m" or "1h30m"',
    ),
    (
        SMALLEST + "verify = { bake = '0s' }",
        f'{SHOP}.verify.bake = "0s": input should be greater than 0s',
    ),
    (
        SMALLEST + "database = { dsn_env = 'SHOP_DSN', pool = { size = 20 } }",
        (
            f"{SHOP}.database.pool: pool does not say where its size is set: "
            'add env = "…" or terraform_variable = "…"'
        ),
    ),
    (
        SMALLEST + "database = { dsn_env = 'SHOP_DSN', pool = { size = 20, terraform_variable = 'pool' } }",
        f"{SHOP}: database.pool.terraform_variable needs terraform = {{ directory = … }}",
    ),
    (
        SMALLEST + "terraform = { directory = '/infra', cpu_variable = 'cpu -destroy' }",
        f"""{SHOP}.terraform.cpu_variable = "cpu -destroy": does not match ^[a-zA-Z_][a-zA-Z0-9_-]*$; correct the spelling""",
    ),
    (
        SMALLEST
        + "terraform = { directory = '/infra' }\ndatabase = { dsn_env = 'SHOP_DSN', pool = { size = 20, env = 'POOL' } }",
        f"{SHOP}: Terraform owns the service and would take the pool back: add database.pool.terraform_variable",
    ),
    (
        SMALLEST + "rollback = { strategy = 'pray' }",
        f"""{SHOP}.rollback.strategy = "pray": input should be 'task-definition', 'terraform' or 'force-new-deployment'""",
    ),
    (SMALLEST + "terraform = {}", f"{SHOP}.terraform.directory: is missing; add it"),
    (
        SMALLEST + "rollback = { strategy = 'terraform' }",
        f"{SHOP}: rollback by Terraform needs terraform = {{ directory = … }}",
    ),
    (
        SMALLEST.replace('ecs_service = "shop"', ""),
        f'{SHOP}: runs on ECS but names no service: add ecs_service = "…"',
    ),
    (
        SMALLEST.replace("services.shop.prod", "services.shop.prodd"),
        "catalog.toml: services.shop.prodd: no [environments.prodd]: add it, or correct the name",
    ),
    (
        SMALLEST.replace('cluster = "shop-prod"', ""),
        'catalog.toml: environments.prod: platform "ecs" needs a cluster: add cluster = "…"',
    ),
    (
        with_prod("approvals = { needed = 2, people = ['bob'] }"),
        "catalog.toml: environments.prod.approvals: needs 2 approvals but names 1 person: add people",
    ),
    (
        with_prod("approvals = { needed = 2 }"),
        'catalog.toml: environments.prod.approvals: needs 2 approvals and names nobody: add people = ["…"]',
    ),
    (
        with_prod("approvals = { needed = 2, people = ['bob', 'BOB'] }"),
        "catalog.toml: environments.prod.approvals: needs 2 approvals, and names 1 person in different spellings: ",
    ),
    (
        with_prod("approvals = { signed = true }"),
        'catalog.toml: environments.prod.approvals: signed decisions need people: add people = ["…"]',
    ),
    (
        with_prod("approvals = { signed = true, needed = 0, people = ['bob', 'carol'] }"),
        "catalog.toml: environments.prod.approvals: signed decisions need approvals: set needed = 1 or more",
    ),
    (
        with_prod("approvals = { signed = true, people = ['bob'] }"),
        "catalog.toml: environments.prod.approvals: needs 1 approval by others than the requester, and names 1 person: ",
    ),
    (
        with_prod("approvals = { hardware = true }"),
        "catalog.toml: environments.prod.approvals: hardware is for signed decisions: add signed = true",
    ),
    (
        with_prod("approvals = { people = ['agent:x for bob'] }"),
        'catalog.toml: environments.prod.approvals: people: "agent:x for bob" is an agent, and agents never approve: ',
    ),
    (
        with_prod("prometheus_url = 'prometheus:9090'"),
        'catalog.toml: environments.prod.prometheus_url = "prometheus:9090": does not match ',
    ),
    (
        with_prod("assume_role = { role_arn = 'admin' }"),
        'catalog.toml: environments.prod.assume_role.role_arn = "admin": does not match ',
    ),
    (
        with_prod("assume_role = { role_arn = 'arn:aws:iam::111122223333:role/x', session = '1m' }"),
        'catalog.toml: environments.prod.assume_role.session = "1m": input should be greater than or equal to ',
    ),
    ("[environments]\n[services]\n[typo]", "catalog.toml: typo: unknown key"),
    ("[services]", "catalog.toml: environments: is missing; add it"),
    ("[environments", "catalog.toml: not TOML: "),
]


@pytest.mark.parametrize(("text", "line"), WRONG)
def test_an_error_names_file_key_value_and_fix(text, line):
    (wording,) = problems(text)
    assert wording.startswith(line)


@pytest.mark.parametrize("name", ["Shop", "shop.eu", "-shop", "a" * 64, "shop_eu"])
def test_names_that_could_not_be_part_of_an_id_are_refused(name):
    (wording,) = problems(SMALLEST.replace("services.shop", f'services."{name}"'))
    assert f"services.{name}" in wording
    assert "correct the spelling" in wording


def test_every_problem_is_reported_at_once():
    text = SMALLEST + "colour = 'red'\nthresholds = { cpu = 2 }\nlog_groop = '/ecs'"
    assert len(problems(text)) == 3


def test_every_placement_that_does_not_fit_is_reported_at_once():
    text = SMALLEST + "[services.cart.staging]\n[services.cart.prod]\nrollback = { strategy = 'terraform' }"
    assert problems(text) == [
        "catalog.toml: services.cart.staging: no [environments.staging]: add it, or correct the name",
        'catalog.toml: services.cart.prod: runs on ECS but names no service: add ecs_service = "…"',
        "catalog.toml: services.cart.prod: rollback by Terraform needs terraform = { directory = … }",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "database = { dsn_env = 'postgresql://shop:hunter2@db.test/shop' }",
        "url = 'http://admin:hunter2@service.test'",
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_without_being_reported(line):
    (wording,) = problems(SMALLEST + line)
    assert "hunter2" not in wording


@pytest.mark.parametrize("url", ["http://a", "https://service.test:8080/base", "http://127.0.0.1:9090"])
def test_addresses_are_http_without_a_slash_at_the_end(url):
    assert parse_catalog(SMALLEST + f"url = '{url}'", "c").target("shop", "prod").url == url
    assert len(problems(SMALLEST + f"url = '{url}/'")) == 1


def test_a_file_that_is_not_there_is_named_with_how_to_make_one(tmp_path):
    file = tmp_path / "none.toml"
    with pytest.raises(CatalogError, match=r"none\.toml: cannot read the catalog: No such file") as caught:
        load_catalog(file)
    how = f"name another file, or write one: `runbook catalog discover -o {file}` reads an AWS account for it"
    assert str(caught.value).endswith(f"; {how}")
    assert caught.value.problems == (str(caught.value),)


def test_a_file_that_is_not_utf_8_is_said_to_be_so(tmp_path):
    file = tmp_path / "catalog.toml"
    file.write_bytes(b"[links]\nwiki = '\xff'\n")
    with pytest.raises(
        CatalogError, match=r"catalog\.toml: not TOML: byte 16 is not UTF-8; save the file as UTF-8"
    ):
        load_catalog(file)


def test_the_mark_that_some_editors_start_a_file_with_does_no_harm(tmp_path):
    file = tmp_path / "catalog.toml"
    file.write_text(SMALLEST, encoding="utf-8-sig")
    assert load_catalog(file).services.keys() == {"shop"}


def test_a_catalog_of_brackets_alone_is_one_line():
    assert problems("a = " + "[" * 100_000) == [
        "catalog.toml: is nested too deeply for a catalog; remove brackets or braces"
    ]


def test_a_service_without_its_environment_is_reported_next_to_all_other_faults():
    text = SMALLEST.replace("shop.prod", "shop.prd") + "colour = 'red'\n[services.web]\nprod = 1"
    assert problems(text) == [
        'catalog.toml: services.shop.prd.colour = "red": unknown key; remove it or correct its name',
        "catalog.toml: services.web.prod = 1: unknown key; remove it or correct its name",
        "catalog.toml: services.shop.prd: no [environments.prd]: add it, or correct the name",
    ]


def test_a_list_is_called_a_list():
    assert problems(with_prod('approvals = { people = "bob" }')) == [
        'catalog.toml: environments.prod.approvals.people = "bob": input should be a list'
    ]


def by_queue(queue: str) -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, task_queue=queue)
    return environment


class TestTargets:
    CATALOG = parse_catalog(FULL, "catalog.toml")

    def test_hold_what_the_service_and_its_environment_say(self):
        target = self.CATALOG.target("ai-processor", "prod")
        assert (target.key, target.cluster, target.ecs_service) == (
            "prod/ai-processor",
            "ai-processor-prod",
            "ai-processor-service-prod",
        )
        assert target.approvals == self.CATALOG.environments["prod"].approvals
        assert target.links == {"grafana": "https://grafana.test"}

    def test_survive_json_for_they_go_into_history(self):
        target = self.CATALOG.target("ai-processor", "prod")
        assert Target.model_validate_json(target.model_dump_json()) == target

    @pytest.mark.parametrize(
        ("service", "environment", "why"),
        [
            ("shop", "prod", 'no service "shop" in the catalog; there are: ai-processor'),
            (
                "ai-processor",
                "staging",
                'service "ai-processor" has no environment "staging"; it has: local, prod',
            ),
        ],
    )
    def test_that_are_unknown_are_reported_with_those_that_there_are(self, service, environment, why):
        with pytest.raises(UnknownTargetError) as raised:
            self.CATALOG.target(service, environment)
        assert str(raised.value) == why

    def test_hold_the_role_that_their_environments_calls_are_made_by(self):
        text = SMALLEST.replace(
            "[services.shop.prod]",
            'assume_role = { role_arn = "arn:aws:iam::111122223333:role/runbooks", external_id_env = "PROD_ID" }\n'
            "[services.shop.prod]",
        )
        target = parse_catalog(text, "catalog.toml").target("shop", "prod")
        assert target.account.quota == ("111122223333", "us-east-1")
        assert target.account.session_name == "runbook-prod"
        assert target.account.role.session == timedelta(minutes=15)
        assert Target.model_validate_json(target.model_dump_json()).account == target.account

    def test_come_from_the_file_as_it_is_now(self, tmp_path):
        path = tmp_path / "catalog.toml"
        path.write_text(SMALLEST)
        catalog = CatalogActivities(path, EnvironmentGuard({"runbooks-prod": "prod"}))
        names = TargetNames(service="shop", environment="prod")
        assert by_queue("runbooks-prod").run(catalog.resolve_target, names).cluster == "shop-prod"
        path.write_text(SMALLEST.replace("shop-prod", "shop-new"))
        assert by_queue("runbooks-prod").run(catalog.resolve_target, names).cluster == "shop-new"

    @pytest.mark.parametrize("queue", ["runbooks-staging", "runbooks-staging-watch", "elsewhere"])
    def test_are_refused_to_whoever_comes_by_the_queue_of_another_environment(self, tmp_path, queue):
        path = tmp_path / "catalog.toml"
        path.write_text(SMALLEST)
        both = {"runbooks-prod": "prod", "runbooks-staging": "staging", "runbooks-staging-watch": "staging"}
        catalog = CatalogActivities(path, EnvironmentGuard(both))
        with pytest.raises(
            PolicyError, match=f'refuses work for the environment "prod" from the queue {queue}'
        ):
            by_queue(queue).run(catalog.resolve_target, TargetNames(service="shop", environment="prod"))


CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/shop-prod"
SERVICE = "arn:aws:ecs:us-east-1:123456789012:service"


@pytest.mark.parametrize("service", ["shop", f"{SERVICE}/shop", f"{SERVICE}/shop-prod/shop"])
@pytest.mark.parametrize("cluster", ["shop-prod", CLUSTER])
def test_an_arn_is_its_name(cluster, service):
    text = SMALLEST.replace('"shop-prod"', f'"{cluster}"').replace('"shop"', f'"{service}"')
    target = parse_catalog(text, "c.toml").target("shop", "prod")
    assert (target.cluster, target.ecs_service) == ("shop-prod", "shop")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("shop-prod", f"{SERVICE}/shop-prod/shop", "is the ARN of a service: write that of the cluster, or its name"),
        ("shop-prod", CLUSTER.replace("us-east-1", "eu-west-1"), "is in eu-west-1, but the environment's region is us-east-1"),
        ("shop-prod", "arn:aws:s3:::shop", "is not the ARN of an ECS cluster: write its name"),
        ("shop", f"{SERVICE}/other/shop", "is in cluster other, but the environment's is shop-prod"),
        ("shop", CLUSTER, "is the ARN of a cluster: write that of the service, or its name"),
    ],
)  # fmt: skip
def test_an_arn_of_something_else_is_refused(old, new, problem):
    (line,) = problems(SMALLEST.replace(f'"{old}"', f'"{new}"'))
    assert problem in line


def test_later_versions_may_read_what_this_one_wrote():
    catalog = parse_catalog(SMALLEST, "catalog.toml")
    assert Catalog.model_validate(catalog.model_dump()) == catalog


IGNORING = (
    SMALLEST
    + """health_path = "/healthz"
[environments.prod.metrics]
ignore = ['path=~"/health.*"']
"""
)


def test_a_service_ignores_what_its_environment_ignores():
    target = parse_catalog(IGNORING, "c.toml").target("shop", "prod")
    assert target.metrics.ignore == ('path=~"/health.*"',)
    assert (target.health_url, target.metrics_url) == ("/healthz", "/metrics")


def test_what_a_service_ignores_itself_takes_the_place_of_its_environments():
    own = IGNORING + "[services.shop.prod.metrics]\nignore = []\n"
    assert parse_catalog(own, "c.toml").target("shop", "prod").metrics.ignore == ()


def test_a_queue_and_how_old_its_messages_may_be_are_the_service_s():
    lines = 'queue = "orders.fifo"\nthresholds = { queue_age = "15m" }'
    target = parse_catalog(SMALLEST + lines, "c.toml").target("shop", "prod")
    assert (target.queue, target.thresholds.queue_age) == ("orders.fifo", timedelta(minutes=15))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('metrics = { ignore = ["path"] }', 'metrics.ignore.0 = "path": is not a PromQL matcher'),
        ('error_pattern = "("', "is not a regular expression"),
        ('health_path = "healthz"', "health_path"),
        ('queue = "https://sqs.us-east-1.amazonaws.com/1/orders"', "queue"),
    ],
)
def test_what_cannot_be_used_of_the_ways_to_measure_is_refused(line, said):
    with pytest.raises(CatalogError, match=re.escape(said)):
        parse_catalog(SMALLEST + line, "c.toml")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("https://git.test/ai-processor", "https://TOKEN1@git.test/x", "services.ai-processor.repository"),
        ("https://git.test/ai-processor", "ssh://git:TOKEN1@git.test/x", "services.ai-processor.repository"),
        ("http://service.test:8080", "http://ann:TOKEN1@service.test", "services.ai-processor.prod.url"),
        ("http://127.0.0.1:9090", "http://ann:TOKEN1@prometheus:9090", "environments.prod.prometheus_url"),
        ("https://grafana.test", "https://ann:TOKEN1@grafana.test/d/x", "links.grafana"),
        ("#incidents", "https://TOKEN1@chat.test/hook", "contacts.0.channel"),
        ("infra", "git::https://TOKEN1@git.test/infra.git", "services.ai-processor.prod.terraform.directory"),
    ],
)
def test_an_address_with_a_user_or_password_is_refused_wherever_it_stands(old, new, key):
    with pytest.raises(CatalogError) as refused:
        parse_catalog(FULL.replace(f'"{old}"', f'"{new}"'), "catalog.toml")
    (problem,) = [line for line in refused.value.problems if line.startswith(f"catalog.toml: {key} = ")]
    assert problem.endswith("take it out, and use ssh_key_file or a variable")
    assert "TOKEN1" not in " ".join(refused.value.problems)


@pytest.mark.parametrize(
    ("key", "written", "problem"),
    [
        (
            "prometheus_url",
            '"http://p:9090/?token=TOKEN1"',
            "take out what follows the path; a secret goes to",
        ),
        ("prometheus_url", '"http://p:9090#x"', "take out what follows the path; a secret goes to"),
        ("prometheus_url", '"http://p:9090/api/v1"', "take out /api/v1, which is added to it"),
        ("prometheus", '{ url = "http://p:9090/api/v1" }', "take out /api/v1, which is added to it"),
    ],
)
def test_the_address_of_a_prometheus_is_one_to_which_paths_are_added(key, written, problem):
    text = SMALLEST.replace("[services", f"{key} = {written}\n[services")
    with pytest.raises(CatalogError) as refused:
        parse_catalog(text, "catalog.toml")
    (line,) = refused.value.problems
    named = "prometheus.url" if key == "prometheus" else key
    assert line.startswith(f"catalog.toml: environments.prod: {named}: {problem}")
    assert "TOKEN1" not in line


@pytest.mark.parametrize(
    ("environment", "service", "problem"),
    [
        ('evidence = ["prometheus"]', "", "add prometheus_url in its environment, or take"),
        ("", 'evidence = ["scrape", "probe"]', "add url, or url and probe, or take"),
    ],
)
def test_evidence_of_which_nothing_is_there_is_refused(environment, service, problem):
    text = SMALLEST.replace("[services", f"{environment}\n[services") + service
    with pytest.raises(CatalogError) as refused:
        parse_catalog(text, "catalog.toml")
    (line,) = refused.value.problems
    assert line.startswith(
        f"catalog.toml: services.shop.prod: nothing that evidence names is there: {problem}"
    )


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("[]", "evidence: names no source: name one, or take it out"),
        ('["cloudwatch"]', 'evidence.0 = "cloudwatch": input should be'),
    ],
)
def test_a_wrong_list_of_evidence_is_one_problem(written, problem):
    with pytest.raises(CatalogError) as refused:
        parse_catalog(SMALLEST + f"evidence = {written}\n", "catalog.toml")
    assert len(refused.value.problems) == 1
    assert f"services.shop.prod.{problem}" in refused.value.problems[0]


def test_the_name_that_everybody_has_over_ssh_is_no_secret():
    text = FULL.replace("https://git.test/ai-processor", "ssh://git@git.test/ai-processor")
    assert parse_catalog(text, "catalog.toml").target("ai-processor", "prod").repository.startswith("ssh://")


def test_a_mail_address_in_a_path_is_no_user():
    text = FULL.replace("https://grafana.test", "https://grafana.test/u/ann@example.com?from=bob@example.com")
    assert "ann@" in parse_catalog(text, "catalog.toml").links["grafana"]
