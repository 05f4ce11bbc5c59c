"""What ``runbook catalog discover`` reads of an account, and the catalog that it writes of it."""

import json
import os
import re
from pathlib import Path

import httpx
import pytest

from activities.aws.clients import ONE_ATTEMPT, AwsClients
from activities.discovery.__main__ import discover
from activities.discovery.metrics import read_prometheus
from runbook_model.catalog.catalog import parse_catalog
from runbook_model.catalog.metrics import PRESETS
from runbook_model.discovered import FoundConvention, FoundPrometheus
from runbook_model.errors import CredentialsError, InputError
from starter.commands.operation.catalog import read_account
from starter.discovery.writing import write_catalog
from starter.exits import CliError
from tests.found_account import REGION, FoundAccount, container, scalable

POLICY = Path(__file__).parents[3] / "deploy/iam-policy-discover.json"
HOST = "orders-prod.c9akciq32.eu-west-1.rds.amazonaws.com"
DSN = f"postgresql://orders:hunter2@{HOST}:5432/orders"


@pytest.fixture
def account():
    """One service in two environments, with all that can be found of it."""
    account = FoundAccount()
    for environment in ("staging", "prod"):
        name = f"orders-{environment}"
        variables = [{"name": "DATABASE_URL", "value": DSN}]
        account.service(
            f"shop-{environment}",
            name,
            balanced=name,
            containers=[container("app", "shop/orders:1.4.0", f"/ecs/{name}", environment=variables)],
        )
        account.balance(name)
        account.scaling.append(scalable(f"shop-{environment}", name, 2, 6))
    account.databases = [{"DBInstanceIdentifier": "orders-prod", "Engine": "postgres"}]
    return account


@pytest.fixture
def nobody(monkeypatch):
    """A shell without anything of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def written(account, environment=None, **how):
    return write_catalog(account.read(**how), environment).text


def catalog_of(account, environment=None):
    return parse_catalog(written(account, environment), "found.toml")


def line(text, key):
    """The line of a key, written or commented out, as value and comment; the first where there are several."""
    found = re.search(rf"^(# )?{key} = (.*?)  # (.*)$", text, re.MULTILINE)
    assert found, text
    return (None if found[1] else found[2]), found[3]


def alone(**how):
    """The text of an account with one service, behind a load balancer of these ways."""
    account = FoundAccount()
    account.service("prod", "api", balanced="api")
    account.balance("api", **how)
    return written(account)


class TestTheCatalog:
    def test_has_one_service_for_an_app_that_runs_in_two_environments(self, account):
        catalog = catalog_of(account)
        assert set(catalog.environments) == {"staging", "prod"}
        assert set(catalog.services) == {"orders"}
        target = catalog.target("orders", "prod")
        assert (target.cluster, target.ecs_service, target.region) == ("shop-prod", "orders-prod", REGION)
        assert (target.container, target.log_group) == ("app", "/ecs/orders-prod")
        assert target.health_url == "http://lb-orders-prod.elb.example.com/healthz"
        assert (target.scale.min, target.scale.max) == (2, 6)

    def test_asks_for_one_approval_and_starts_nothing_automatically(self, account):
        catalog = catalog_of(account)
        assert {where.approvals.needed for where in catalog.environments.values()} == {1}
        assert catalog.alerts == ()

    def test_has_a_comment_next_to_each_value(self, account):
        values = [line for line in written(account).splitlines() if line and not line.startswith("#")]
        assert [line for line in values if "  # " not in line] == []

    def test_never_has_a_value_of_a_variable(self, account):
        text = written(account)
        assert "hunter2" not in text
        assert HOST not in text
        assert "DATABASE_URL" in text

    def test_says_who_read_which_account(self, account):
        assert "account 123456789012, as arn:aws:sts::123456789012:assumed-role/reader/alice" in written(
            account
        )

    def test_is_the_same_each_time(self, account):
        assert written(account) == written(account)

    def test_leaves_out_clusters_without_services_where_others_have_some(self, account):
        account.cluster("AWSBatch-nightly")
        text = written(account)
        assert set(parse_catalog(text, "found.toml").environments) == {"staging", "prod"}
        assert "# Clusters without services: AWSBatch-nightly." in text

    def test_of_an_account_without_services_checks_too(self):
        account = FoundAccount()
        account.cluster("prod")
        assert catalog_of(account).services == {}


class TestNames:
    def test_an_environment_is_named_by_a_word_of_the_clusters_name(self, account):
        assert '[environments.prod]  # "prod" in the name of cluster shop-prod' in written(account)

    def test_a_person_may_name_it(self, account):
        del account.clusters["shop-staging"]
        text = written(account, "live")
        assert "[environments.live]  # given by --environment" in text
        assert "[services.orders.live]" in text, "prod and live mean the same"

    def test_clusters_of_one_name_in_two_regions_join_to_one_catalog_under_the_names_that_a_person_gave(self):
        account = FoundAccount()
        account.service("main", "orders-prod")
        eu, us = written(account, "eu-prod"), written(account, "us-prod").replace(REGION, "us-east-1")
        tables = [
            line
            for line in us.splitlines()
            if not re.match(r"alerts = |\[services\]|\[services\.\w+\]", line)
        ]
        catalog = parse_catalog("\n".join([eu, *tables]), "both.toml")
        regions = {name: where.region for name, where in catalog.environments.items()}
        assert regions == {"eu-prod": REGION, "us-prod": "us-east-1"}
        assert set(catalog.services["orders"].environments) == {"eu-prod", "us-prod"}

    def test_a_service_says_what_its_name_was_made_of(self, account):
        assert "[services.orders.prod]  # made of orders-prod, without environment and service" in written(
            account
        )


class TestTheAddress:
    def test_is_that_of_the_load_balancer_whose_listener_leads_to_the_service(self):
        said = "load balancer lb-api (internet-facing), port 80, HTTP"
        assert line(alone(), "url") == ('"http://lb-api.elb.example.com"', said)

    def test_has_the_port_where_it_is_an_unusual_one(self):
        assert line(alone(port=8081), "url")[0] == '"http://lb-api.elb.example.com:8081"'

    def test_is_the_host_that_a_rule_asks_for(self):
        rules = [[{"Field": "host-header", "HostHeaderConfig": {"Values": ["api.example.com"]}}]]
        value, comment = line(alone(protocol="HTTPS", port=443, rules=rules), "url")
        assert value == '"https://api.example.com"'
        assert comment.endswith("HTTPS, rule for host api.example.com")

    @pytest.mark.parametrize(
        ("how", "why"),
        [
            ({"protocol": "HTTPS", "port": 443}, "its certificate is for another name"),
            ({"protocol": "TCP"}, "speaks TCP, not HTTP"),
            (
                {"rules": [[{"Field": "host-header", "Values": ["*.example.com"]}]]},
                "for hosts of a pattern only",
            ),
            ({"rules": [[{"Field": "path-pattern", "Values": ["/api/*"]}]]}, "where /healthz is not"),
            (
                {"rules": [[{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}]]},
                "with a certain source-ip",
            ),
            ({"rules": []}, "no listener leads to the target group api"),
        ],
    )
    def test_is_only_proposed_where_it_cannot_be_known(self, how, why):
        value, comment = line(alone(**how), "url")
        assert value is None
        assert why in comment

    def test_says_that_an_internal_one_is_reached_from_inside(self):
        assert "reached from inside the VPC only" in line(alone(scheme="internal"), "url")[1]

    def test_is_not_invented_for_a_service_without_a_load_balancer(self):
        account = FoundAccount()
        account.service("prod", "worker")
        assert line(written(account), "url") == (
            None,
            "not found: ECS names no load balancer; without an address, health is not asked for",
        )

    def test_is_not_known_where_the_target_group_is_gone(self):
        account = FoundAccount()
        account.service("prod", "api", balanced="api")
        assert line(written(account), "url") == (None, "not found: there is no target group api")


class TestTheHealthCheck:
    def test_is_the_target_groups(self):
        assert line(alone(), "health_path") == ('"/healthz"', "health check of target group api")

    def test_says_where_it_takes_more_answers_as_healthy_than_we_do(self):
        comment = line(alone(Matcher={"HttpCode": "200-399"}), "health_path")[1]
        assert comment.endswith("there 200-399 is healthy, here 2xx")

    def test_on_another_port_is_only_proposed(self):
        value, comment = line(alone(HealthCheckPort="9000"), "health_path")
        assert value is None
        assert "on port 9000, where users are not" in comment

    def test_without_a_path_is_said(self):
        how = {"HealthCheckProtocol": "TCP", "HealthCheckPath": None}
        assert "is TCP, without a path" in line(alone(**how), "health_path")[1]


class TestTheContainer:
    def test_is_chosen_as_procedures_choose_it(self):
        account = FoundAccount()
        two = [container("agent", "agent:7"), container("app", "shop/api:1", "/ecs/api")]
        account.service("prod", "api", containers=two, balanced="api")
        assert line(written(account), "container") == ('"app"', "container of api: behind the load balancer")

    def test_is_left_to_a_person_where_it_cannot_be_known(self):
        account = FoundAccount()
        account.service("prod", "api", containers=[container("a", "a:7"), container("b", "b:1", "/ecs/api")])
        text = written(account)
        assert line(text, "container") == (
            None,
            "not found: which of a, b is the app, whose image is the release?",
        )
        assert line(text, "log_group")[0] is None


class TestTheLogGroup:
    @pytest.mark.parametrize(
        ("logs", "why"),
        [
            ({"logDriver": "awsfirelens", "options": {"Name": "datadog"}}, "logs by awsfirelens"),
            (None, "logs by no driver"),
            (
                {"logDriver": "awslogs", "options": {"awslogs-group": "/x", "awslogs-region": "us-west-2"}},
                "but in us-west-2",
            ),
        ],
    )
    def test_is_only_written_where_procedures_can_read_it(self, logs, why):
        account = FoundAccount()
        more = {"logConfiguration": logs} if logs else {}
        account.service("prod", "api", containers=[container("app", "api:1", **more)])
        value, comment = line(written(account), "log_group")
        assert value is None
        assert why in comment

    def test_says_where_it_does_not_exist_yet(self, account):
        account.log_groups.clear()
        assert line(written(account), "log_group") == (
            '"/ecs/orders-prod"',
            "awslogs-group of container app; there is no such group yet",
        )


class TestTheDatabase:
    def test_is_proposed_by_the_name_of_the_variable_and_of_the_instance(self, account):
        assert '# database = { dsn_env = "DATABASE_URL", rds_instance = "orders-prod" }' in written(account)

    def test_is_said_to_be_of_a_kind_that_is_not_supported(self, account):
        account.databases[0]["Engine"] = "mysql"
        value, comment = line(written(account), "database")
        assert value is None
        assert "mysql: only PostgreSQL is supported" in comment
        assert "rds_instance" not in written(account)

    def test_of_a_cluster_is_said_to_be_one(self):
        account = FoundAccount()
        host = HOST.replace(".c9", ".cluster-c9")
        account.service(
            "prod",
            "api",
            containers=[container("app", "a:1", environment=[{"name": "DB_HOST", "value": host}])],
        )
        text = written(account)
        assert "names the Aurora cluster orders-prod" in line(text, "database")[1]
        assert '# database = { dsn_env = "…" }' in text

    def test_whose_address_is_a_secret_is_only_a_name(self):
        account = FoundAccount()
        secret = {"name": "ORDERS_DSN", "valueFrom": "arn:aws:secretsmanager:eu-west-1:1:secret:orders"}
        account.service("prod", "api", containers=[container("app", "a:1", secrets=[secret])])
        text = written(account)
        assert '# database = { dsn_env = "ORDERS_DSN" }' in text
        assert "value is a secret and was not read" in text
        assert "secretsmanager" not in text
        assert account.count("rds:DescribeDBInstances") == 0


class TestWhatCannotBeServed:
    @pytest.mark.parametrize(
        ("how", "why"),
        [
            ({"deploymentController": {"type": "CODE_DEPLOY"}}, "its controller is CODE_DEPLOY"),
            ({"deploymentController": {"type": "EXTERNAL"}}, "its controller is EXTERNAL"),
            ({"schedulingStrategy": "DAEMON"}, "its scheduling is DAEMON"),
            ({"status": "DRAINING"}, "the service is DRAINING"),
        ],
    )
    def test_stays_in_the_file_commented_out_with_the_reason(self, account, how, why):
        account.service("shop-prod", "edge-prod", **how)
        done = write_catalog(account.read(), None)
        assert [(item.service, item.cluster) for item in done.left_out] == [("edge-prod", "shop-prod")]
        assert f"# [services.edge.prod]  # cannot be served: {why}" in done.text
        assert '# ecs_service = "edge-prod"' in done.text
        assert set(parse_catalog(done.text, "found.toml").services) == {"orders"}

    def test_is_not_what_only_runs_no_task_at_this_moment(self, account):
        account.service("shop-prod", "nightly-prod", desiredCount=0)
        assert "nightly" in catalog_of(account).services


SPRING = FoundConvention(
    preset="spring",
    metric="http_server_requests_seconds_count",
    series=({"application": "orders"}, {"application": "billing-service-prod"}),
)


class TestPrometheus:
    def found(self, *conventions, **how):
        runbook = FoundConvention(
            preset="runbook",
            metric="http_requests_total",
            series=({"service": "orders", "environment": "prod"},),
        )
        how = {"conventions": conventions or (runbook,), "release_label": "release"} | how
        return FoundPrometheus(url="http://prometheus:9090", **how)

    def test_is_written_with_the_convention_that_names_the_service(self, account):
        text = written(account, prometheus=self.found())
        target = parse_catalog(text, "x").target("orders", "prod")
        assert (target.prometheus_url, target.release_label) == ("http://prometheus:9090", "release")
        said = "http_requests_total has series with service=orders, environment=prod"
        assert f'metrics = {{ preset = "runbook" }}  # {said}' in text
        assert "no series is named like it; http_requests_total (preset runbook) has service=orders" in text

    def test_that_cannot_distinguish_two_environments_is_only_proposed(self, account):
        text = written(account, prometheus=self.found(SPRING))
        assert '# metrics = { preset = "spring" }' in text
        assert "has series with application=orders, of which environment?" in text
        del account.clusters["shop-staging"]
        text = written(account, prometheus=self.found(SPRING))
        assert '\nmetrics = { preset = "spring" }' in text

    def test_may_name_a_service_as_ecs_does(self):
        account = FoundAccount()
        account.service("shop-prod", "billing-service-prod")
        text = written(account, prometheus=self.found(SPRING))
        assert "[services.billing.prod]" in text
        metrics = parse_catalog(text, "x").target("billing", "prod").metrics
        assert (metrics.preset, metrics.selector) == ("spring", {"application": "billing-service-prod"})

    def test_without_a_request_counter_that_is_known_says_so(self, account):
        text = written(account, prometheus=self.found(conventions=()))
        assert "not found: no request counter that a preset knows has series" in text

    def test_that_does_not_answer_is_only_proposed(self, account):
        value, comment = line(written(account, prometheus=self.found(why_not="HTTP 401")), "prometheus_url")
        assert (value, comment) == (None, "not read: HTTP 401")

    def test_that_nobody_named_is_not_guessed(self, account):
        assert line(written(account), "prometheus_url") == (
            None,
            "not found: AWS has none here; --prometheus URL reads one",
        )

    def test_that_aws_has_is_proposed(self, account):
        account.workspaces = ["ws-2", "ws-1"]
        url = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1"
        text = written(account)
        assert f'# prometheus = {{ url = "{url}", auth = "sigv4" }}' in text
        assert f"Amazon Managed Prometheus has it, and 1 more; --prometheus {url} looks" in text

    def test_of_aws_is_written_with_its_signature(self, account):
        found = self.found().model_copy(
            update={"url": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1", "signed": True}
        )
        store = parse_catalog(written(account, prometheus=found), "x").target("orders", "prod").store
        assert (store.url, store.auth) == (found.url, "sigv4")

    def test_that_is_no_address_is_refused(self):
        with pytest.raises(
            CliError, match="--prometheus is not an address, or has a user and a password in it; write http:"
        ):
            read_account([], "me:pw@prometheus")

    def test_a_secret_in_its_address_is_refused_unread_and_unsaid(self):
        with pytest.raises(CliError, match="--prometheus is not the address alone; take out what") as refused:
            read_account([], "http://prometheus:9090/?token=TOKEN1")
        assert "TOKEN1" not in str(refused.value)

    async def test_is_asked_for_each_convention_by_its_labels(self, monkeypatch):
        asked = []

        def answer(request):
            query = request.url.params["query"]
            asked.append(query)
            labels = {"application": "orders", "version": "orders-prod:7"}
            found = [{"metric": labels, "value": [0, "3"]}] if "http_server_requests" in query else []
            if query.startswith("count by"):
                found = [{"metric": {"application": "orders"}, "value": [0, "3"]}] if found else []
            return httpx.Response(
                200, json={"status": "success", "data": {"resultType": "vector", "result": found}}
            )

        monkeypatch.setattr(
            "activities.discovery.metrics.http_client",
            lambda: httpx.AsyncClient(transport=httpx.MockTransport(answer)),
        )
        found = await read_prometheus("http://prometheus:9090", {"orders-prod"}, AwsClients(), REGION)
        assert [item.preset for item in found.conventions] == ["spring"]
        assert found.conventions[0].series == ({"application": "orders"},)
        assert found.release_label == "version"
        assert 'count by (job) (http_requests_total{job!="", code!=""})' in asked
        assert 'count by (service, environment) (http_requests_total{service!="", environment!=""})' in asked
        assert len(asked) == len(PRESETS) + 1


def actions():
    return [
        action for statement in json.loads(POLICY.read_text())["Statement"] for action in statement["Action"]
    ]


class TestPermissions:
    def test_that_it_asks_for_are_those_of_its_policy(self, account):
        account.read()
        assert sorted({action for action, _ in account.calls}) == sorted(actions())

    @pytest.mark.parametrize("action", [name for name in actions() if name != "ecs:ListClusters"])
    def test_that_one_is_missing_is_a_comment_and_the_rest_still_a_catalog(self, account, action):
        account.denied = {action}
        found = account.read()
        text = write_catalog(found, None).text
        assert [unread.action for unread in found.unread] == [action]
        assert f"allow {action}" in text
        catalog = parse_catalog(text, "found.toml")
        assert set(catalog.environments) == {"staging", "prod"}
        if action != "ecs:ListServices":
            assert catalog.target("orders", "prod").ecs_service == "orders-prod"

    def test_that_clusters_cannot_be_listed_is_an_error_unless_some_are_named(self, account):
        account.denied = {"ecs:ListClusters"}
        with pytest.raises(InputError, match="not read: allow ecs:ListClusters; name some with --cluster"):
            account.read()
        assert set(parse_catalog(write_catalog(account.read("shop-prod"), None).text, "x").environments) == {
            "prod"
        }

    def test_that_are_all_missing_leave_the_clusters_that_were_named(self, account):
        account.denied = {*actions()}
        text = write_catalog(account.read("shop-prod"), None).text
        assert parse_catalog(text, "x").environments["prod"].cluster == "shop-prod"

    def test_are_not_asked_for_in_vain_again_and_again(self):
        account = FoundAccount()
        for number in range(60):
            account.service("prod", f"api-{number}")
        account.denied = {"ecs:DescribeTaskDefinition"}
        account.read()
        assert account.count("ecs:DescribeTaskDefinition") < 20


class TestHundredsOfServices:
    def test_are_read_within_few_calls(self):
        account = FoundAccount()
        for number in range(150):
            for environment in ("staging", "prod"):
                account.service(
                    environment, f"api-{number}-{environment}", balanced=f"api-{number}-{environment}"
                )
        account.balance("api-0-prod")
        done = write_catalog(account.read(), None)
        assert len(parse_catalog(done.text, "found.toml").services) == 150
        asked = {action: account.count(action) for action, _ in account.calls}
        assert asked == {
            "sts:GetCallerIdentity": 1,
            "ecs:ListClusters": 1,
            "ecs:DescribeClusters": 1,
            "ecs:ListServices": 4,
            "ecs:DescribeServices": 30,
            "ecs:DescribeTaskDefinition": 300,
            "elasticloadbalancing:DescribeTargetGroups": 1,
            "elasticloadbalancing:DescribeLoadBalancers": 1,
            "elasticloadbalancing:DescribeListeners": 1,
            "elasticloadbalancing:DescribeRules": 1,
            "logs:DescribeLogGroups": 6,
            "application-autoscaling:DescribeScalableTargets": 1,
            "aps:ListWorkspaces": 1,
        }


class TestWhatIsAskedFor:
    def test_a_cluster_that_is_not_there_is_an_error(self, account):
        with pytest.raises(InputError, match="there is no ECS cluster shop-live in eu-west-1"):
            account.read("shop-live")

    def test_a_cluster_may_be_named_by_its_arn(self, account):
        found = account.read("arn:aws:ecs:eu-west-1:123456789012:cluster/shop-prod")
        assert [cluster.name for cluster in found.clusters] == ["shop-prod"]

    def test_a_cluster_of_another_region_is_an_error(self, account):
        with pytest.raises(InputError, match="is in us-east-1, but the environment's region is eu-west-1"):
            account.read("arn:aws:ecs:us-east-1:123456789012:cluster/shop-prod")

    @pytest.mark.usefixtures("nobody")
    def test_a_shell_without_a_region_learns_what_to_set(self):
        with pytest.raises(InputError, match="no AWS region is set; set AWS_REGION, or a region in the AWS"):
            discover([], None)

    def test_a_shell_without_credentials_learns_so(self, nobody):
        nobody.setenv("AWS_REGION", REGION)
        with pytest.raises(
            CredentialsError, match="could not ask for sts:GetCallerIdentity: Unable to locate"
        ):
            discover([], None)

    @pytest.mark.parametrize(
        ("name", "value", "error"),
        [
            ("AWS_PROFILE", "mistyped", r"The config profile \(mistyped\) could not be found"),
            ("AWS_REGION", "eu west", "Provided region_name 'eu west' doesn't match"),
            ("AWS_ENDPOINT_URL", "nonsense", "Invalid endpoint: nonsense"),
        ],
    )
    def test_a_shell_with_wrong_settings_learns_what_to_correct(self, nobody, name, value, error):
        nobody.setenv("AWS_REGION", REGION)
        nobody.setenv(name, value)
        with pytest.raises(
            CredentialsError, match=f"could not prepare calls of sts: {error}.*; correct AWS_PROFILE"
        ):
            discover([], None)

    @pytest.mark.parametrize("clusters", [[], ["shop"]])
    def test_where_nobody_answers_nothing_is_written_of_it(self, nobody, clusters):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            nobody.setenv(name, "test")
        nobody.setenv("AWS_REGION", REGION)
        nobody.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        nobody.setattr("activities.discovery.__main__.PATIENT", ONE_ATTEMPT)
        with pytest.raises(
            InputError, match=r"AWS did not answer.*; check the network, AWS_REGION and AWS_ENDPOINT_URL"
        ):
            discover(clusters, None)

    def test_a_region_without_clusters_is_an_error(self):
        with pytest.raises(InputError, match="there is no ECS cluster in eu-west-1; set AWS_REGION"):
            FoundAccount().read()

    def test_hostile_text_stays_in_its_comment(self, account):
        tag = {"key": "managed-by", "value": "terraform\n[environments.evil]"}
        account.service("shop-prod", "api-prod", tags=[tag])
        assert set(catalog_of(account).environments) == {"staging", "prod"}
