"""What is deployed, checked without running it."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import boto3
import pytest
import yaml

from runbook_model.catalog.catalog import load_catalog
from runbook_model.names.ids import SEARCH_ATTRIBUTES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TESTS_OF_RULES = Path(__file__).parent / "prometheus"
COMPOSE = ROOT / "docker-compose.temporal.yml"
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_]+)(?::-(?P<default>[^}]*))?\}")
EXACT_VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?")


@cache
def compose():
    return yaml.safe_load(COMPOSE.read_text())


def services():
    return compose()["services"].items()


def with_defaults(text):
    """Fill in variables as compose does when none of them is set."""
    return VARIABLE.sub(lambda match: match["default"] or "", text)


def exporters_with(upstream):
    """Which exporters the collector is asked to use."""
    written = compose()["services"]["otel-collector"]["environment"]["OTLP_EXPORTERS"]
    return yaml.safe_load(re.sub(r"\$\{OTLP_UPSTREAM:\+([^}]*)\}", r"\1" if upstream else "", written))


def mounted_files():
    """(service, path on the host) of every bind mount."""
    for name, service in services():
        for volume in service.get("volumes", ()):
            source = with_defaults(volume).split(":")[0]
            if source.startswith("."):
                yield name, source


def dockerfile():
    """Lines of the Dockerfile, continuations joined."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line and not line.startswith("#")]


def promtool(*arguments):
    program = shutil.which("promtool")
    assert program, "promtool is not installed: run `make set-up`, or install Debian's package prometheus"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def dashboard_panels():
    """(dashboard, panel) of every panel."""
    for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            yield path.stem, panel


POLICIES = ("worker", "environment")


def policy_statements(*names):
    return [
        statement
        for name in names or POLICIES
        for statement in json.loads((DEPLOY / f"iam-policy-{name}.json").read_text())["Statement"]
    ]


def several(value):
    return [value] if isinstance(value, str) else value


def allowed_actions(*names):
    for statement in policy_statements(*names):
        yield from several(statement["Action"])


def filled_in(resource):
    """The policy's resource with the sandbox's names, as a pattern."""
    names = {
        "account": "123456789012", "region": "us-east-1", "cluster": "ai-processor-prod", "family": "ai-processor-prod",
        "service": "ai-processor-service-prod", "execution role": "ai-processor-prod-execution",
        "task role": "ai-processor-prod-task", "log group": "/ecs/ai-processor-prod", "database": "ai-processor-prod",
        "bucket": "reviews", "environment": "prod",
    }  # fmt: skip
    return re.sub("<([a-z ]+)>", lambda match: names[match[1]], resource)


def is_allowed(action, resource):
    """Whether the environment's policy, filled in, allows an action on a resource."""
    return any(
        action in several(statement["Action"])
        and any(fnmatch(resource, filled_in(pattern)) for pattern in several(statement["Resource"]))
        for statement in policy_statements("environment")
    )


def changed_in_stories(environment):
    """(action, ARN) of every change of ECS that the recorded stories made in an environment."""
    account = "us-east-1:123456789012"
    for path in sorted((ROOT / "tests/stories/recorded").glob("*.json")):
        for call in json.loads(path.read_text())["structure"]["calls"]["changes"]:
            service, action = call["call"].split()
            arns = {
                "UpdateService": f"arn:aws:ecs:{account}:service/{call.get('cluster')}/{call.get('service')}",
                "RegisterTaskDefinition": f"arn:aws:ecs:{account}:task-definition/{call.get('family')}:1",
                "TagResource": call.get("resourceArn"),
            }
            if service == "ecs" and action in arns and f"-{environment}" in arns[action]:
                yield f"ecs:{action}", arns[action]
            for role in ("executionRoleArn", "taskRoleArn"):
                if f"-{environment}" in call.get(role, ""):
                    yield "iam:PassRole", call[role]


class TestCompose:
    def test_it_is_what_the_compose_specification_takes(self):
        checker = Path(sys.executable).with_name("check-jsonschema")
        checked = subprocess.run(
            [checker, "--builtin-schema", "vendor.compose-spec", COMPOSE],
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr

    @pytest.mark.parametrize(
        "name",
        [
            *("postgres", "temporal", "ui", "worker", "webhook", "prometheus", "alertmanager"),
            *("otel-collector", "grafana", "schema", "namespace", "codec"),
        ],
    )
    def test_it_has_the_service(self, name):
        assert name in compose()["services"]

    def test_every_image_is_pinned_to_an_exact_version(self):
        images = [service["image"] for _, service in services() if "build" not in service]
        assert len(images) >= 5
        assert [image for image in images if not EXACT_VERSION.fullmatch(image.partition(":")[2])] == []

    def test_server_and_schema_have_one_version(self):
        versions = {
            compose()["services"][name]["image"].partition(":")[2]
            for name in ("schema", "temporal", "namespace")
        }
        assert len(versions) == 1

    def test_every_mounted_file_exists(self):
        mounts = list(mounted_files())
        assert len(mounts) >= 4
        assert [mount for mount in mounts if not (ROOT / mount[1]).exists()] == []

    def test_every_named_volume_is_declared_and_used(self):
        used = {
            volume.split(":")[0]
            for _, service in services()
            for volume in service.get("volumes", ())
            if re.match(r"\w", volume)
        }
        assert used == set(compose()["volumes"])

    def test_every_secret_is_declared_and_used(self):
        used = {secret for _, service in services() for secret in service.get("secrets", ())}
        assert used == set(compose()["secrets"])

    def test_secrets_are_never_committed_nor_sent_to_the_builder(self):
        for secret in compose()["secrets"].values():
            path = with_defaults(secret["file"])
            ignored = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, check=False)
            assert ignored.returncode == 0, path

    def test_no_password_stands_in_an_environment(self):
        suspects = [
            (name, variable)
            for name, service in services()
            for variable in service.get("environment", {})
            if re.search("PASSWORD|PWD|SECRET|TOKEN", variable) and not variable.endswith("_FILE")
        ]
        assert suspects == []

    def test_ports_are_published_on_loopback_only(self):
        ports = [port for _, service in services() for port in service.get("ports", ())]
        assert ports
        assert [port for port in ports if not port.startswith("127.0.0.1:")] == []

    def test_only_what_people_and_alertmanagers_call_is_published(self):
        published = {name for name, service in services() if service.get("ports")}
        assert published == {"ui", "webhook", "grafana", "codec"}

    def test_every_service_has_limits(self):
        limits = {
            name: service.get("deploy", {}).get("resources", {}).get("limits") for name, service in services()
        }
        assert [name for name, limit in limits.items() if not limit or set(limit) != {"cpus", "memory"}] == []

    def test_everything_that_stays_up_says_how_it_is(self):
        silent = {name for name, service in services() if "healthcheck" not in service}
        assert silent == {"schema", "namespace", "otel-collector"}  # two end, one has no shell to be asked by

    def test_two_workers_run_the_product_as_nobody_who_can_write_nothing(self):
        worker = compose()["services"]["worker"]
        assert worker["deploy"]["replicas"] == 2
        for name in ("worker", "webhook", "codec"):
            service = compose()["services"][name]
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]

    def test_everything_runs_without_capabilities_and_nothing_gains_any(self):
        for name, service in services():
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert not {"cap_add", "privileged"} & set(service), name

    def test_roots_are_read_only_but_for_the_uis_which_writes_its_configuration(self):
        assert {name for name, service in services() if not service.get("read_only")} == {"ui"}

    @pytest.mark.parametrize("watching", ["prometheus", "alertmanager", "grafana", "otel-collector"])
    def test_who_watches_shares_no_network_with_what_decides_or_decrypts(self, watching):
        own = set(compose()["services"][watching]["networks"])
        for name in ("temporal", "postgres", "ui", "codec", "schema", "namespace"):
            assert not own & set(compose()["services"][name]["networks"]), name

    def test_the_network_of_temporal_leads_nowhere_else(self):
        assert compose()["networks"]["core"] == {"internal": True}
        assert set(compose()["networks"]) == {"core", "monitoring", "edge"}
        for name in ("temporal", "postgres"):
            assert compose()["services"][name]["networks"] == ["core"]

    def test_the_ui_only_shows_unless_somebody_lets_it_write(self):
        written = compose()["services"]["ui"]["environment"]["TEMPORAL_DISABLE_WRITE_ACTIONS"]
        assert with_defaults(written) == "true"

    def test_the_collectors_pipeline_has_only_parts_that_are_configured(self):
        collector = yaml.safe_load((DEPLOY / "otel-collector.yaml").read_text())
        for pipeline in collector["service"]["pipelines"].values():
            parts_of = {**pipeline, "exporters": exporters_with("http://tempo:4318")}
            for kind, parts in parts_of.items():
                assert parts
                assert set(parts) <= set(collector[kind])
        endpoint = compose()["services"]["worker"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
        port = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
        assert endpoint == f"http://otel-collector:{port}"

    def test_traces_are_handed_on_only_where_there_is_somebody_to_take_them(self):
        pipelines = yaml.safe_load((DEPLOY / "otel-collector.yaml").read_text())["service"]["pipelines"]
        assert {pipeline["exporters"] for pipeline in pipelines.values()} == {"${env:OTLP_EXPORTERS}"}
        assert exporters_with("") == ["debug"]
        assert exporters_with("http://tempo:4318") == ["debug", "otlphttp"]

    def test_an_aws_profile_is_named_only_where_somebody_names_it(self):
        # A profile that is named must exist: with an empty credentials file, even `default` ends every call of AWS.
        assert compose()["services"]["worker"]["environment"]["AWS_PROFILE"] is None

    def test_health_is_asked_for_by_get(self):
        # Some versions of wget send HEAD for --spider, which not every one of these answers.
        checks = [service["healthcheck"]["test"] for _, service in services() if "healthcheck" in service]
        asked = [check for check in checks if "wget" in check]
        assert len(asked) == 4
        assert {tuple(check[:-1]) for check in asked} == {("CMD", "wget", "-q", "-O", "/dev/null")}

    def test_everything_that_stays_up_starts_again_by_itself(self):
        one_shot = {"schema", "namespace"}
        staying = [service["restart"] for name, service in services() if name not in one_shot]
        assert set(staying) == {"unless-stopped"}

    def test_whoever_is_waited_for_to_be_healthy_has_a_health_check(self):
        waited_for = {
            name
            for _, service in services()
            for name, wait in service.get("depends_on", {}).items()
            if wait["condition"] == "service_healthy"
        }
        assert waited_for == {"postgres", "temporal", "webhook", "prometheus"}
        assert [name for name in waited_for if "healthcheck" not in compose()["services"][name]] == []

    def test_one_shot_jobs_are_waited_for_to_end_well(self):
        conditions = {
            name: wait["condition"]
            for _, service in services()
            for name, wait in service.get("depends_on", {}).items()
        }
        assert conditions["schema"] == conditions["namespace"] == "service_completed_successfully"

    def test_starting_waits_only_for_services_that_there_are_and_never_in_a_circle(self):
        waits = {name: set(service.get("depends_on", ())) for name, service in services()}
        while waits:
            ready = {name for name, others in waits.items() if not others & set(waits)}
            assert ready, f"these wait for each other: {sorted(waits)}"
            assert all(waits[name] <= set(compose()["services"]) for name in ready)
            waits = {name: others for name, others in waits.items() if name not in ready}

    def test_the_environment_example_documents_every_variable_with_the_default_it_has(self):
        text = (ROOT / ".env.example").read_text()
        documented = dict(line.split("=", 1) for line in text.splitlines() if re.match("[A-Z]", line))
        used = {match["name"]: match["default"] for match in VARIABLE.finditer(COMPOSE.read_text())}
        assert documented == used

    def test_whoever_speaks_with_temporal_for_the_product_has_the_keys_of_histories(self):
        for name in ("worker", "codec"):
            service = compose()["services"][name]
            assert service["environment"]["RUNBOOK_CODEC_KEYS_FILE"] == "/run/secrets/codec-keys"
            assert "codec-keys" in service["secrets"]

    def test_the_webhook_which_reads_no_history_has_a_key_that_only_encrypts(self):
        webhook = compose()["services"]["webhook"]
        assert webhook["environment"]["RUNBOOK_CODEC_KEYS_FILE"] == "/run/secrets/webhook-codec-keys"
        assert webhook["secrets"] == ["webhook-token", "webhook-codec-keys"]

    def test_only_the_codec_server_is_not_there_unless_it_is_asked_for(self):
        assert {name for name, service in services() if "profiles" in service} == {"codec"}
        assert "COMPOSE_PROFILES=encryption" in (ROOT / ".env.example").read_text()

    def test_all_of_the_product_is_one_image_that_is_built_here(self):
        built = {name: service["build"] for name, service in services() if "build" in service}
        assert set(built) == {"worker", "webhook", "codec"}
        assert built["worker"] == built["webhook"] == built["codec"]
        assert (ROOT / built["worker"]["context"] / built["worker"]["dockerfile"]).is_file()


class TestDockerfile:
    def test_it_copies_all_that_the_wheel_holds_but_the_sandbox(self):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        wheel = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]) - {"sandbox"}
        copied = {line.split()[1] for line in dockerfile() if line.startswith("COPY ") and "--" not in line}
        let_through = {
            line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
        }
        assert wheel <= copied
        assert wheel <= let_through

    def test_its_base_is_pinned_to_an_exact_python(self):
        bases = [line.split()[1] for line in dockerfile() if line.startswith("FROM ")]
        bases.remove("${TERRAFORM}")
        assert len(bases) == 2
        assert len(set(bases)) == 1
        assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases[0])

    def test_hadolint_has_nothing_to_say(self):
        checked = subprocess.run(
            [Path(sys.executable).with_name("hadolint"), DEPLOY / "Dockerfile"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.stdout + checked.stderr == ""
        assert checked.returncode == 0

    def test_terraform_is_pinned_and_may_be_another(self):
        (argument,) = [line for line in dockerfile() if line.startswith("ARG TERRAFORM=")]
        assert EXACT_VERSION.fullmatch(argument.rpartition(":")[2])

    def test_packages_come_from_the_lock_with_their_hashes(self):
        installs = [line for line in dockerfile() if "pip install" in line or "pip sync" in line]
        assert len(installs) == 1
        assert installs[0].count("--require-hashes") == 2
        assert "requirements/runtime.lock" in installs[0]

    def test_the_worker_is_nobody_special(self):
        user = [line for line in dockerfile() if line.startswith("USER ")][-1].split()[1]
        assert int(user.split(":")[0]) >= 1000

    def test_everything_that_is_copied_exists_and_reaches_the_builder(self):
        ignore = (ROOT / ".dockerignore").read_text().splitlines()
        assert "*" in ignore
        let_in = [line[1:] for line in ignore if line.startswith("!")]
        copied = [
            word
            for line in dockerfile()
            if line.startswith("COPY ") and "--from=" not in line
            for word in [part for part in line.split()[1:] if not part.startswith("--")][:-1]
        ]
        assert [path for path in copied if not (ROOT / path).exists()] == []
        assert [path for path in copied if not any(fnmatch(path, pattern) for pattern in let_in)] == []
        assert sorted(set(let_in)) == sorted(set(copied))

    def test_every_package_of_the_product_is_in_it(self):
        copied = " ".join(line for line in dockerfile() if line.startswith("COPY "))
        for name in ("runbook_model", "activities", "workflows", "starter", "worker.py"):
            assert f" {name} " in copied

    def test_what_it_started_ends_with_it(self):
        assert 'ENTRYPOINT ["tini", "--"]' in dockerfile()

    def test_the_sandbox_is_not(self):
        assert "sandbox" not in (DEPLOY / "Dockerfile").read_text()


class TestTemporalSetUp:
    @pytest.mark.parametrize("script", sorted(DEPLOY.glob("temporal/*.sh")), ids=lambda path: path.name)
    def test_the_scripts_are_sound_shell(self, script):
        subprocess.run(["sh", "-n", script], check=True)

    def test_the_namespace_gets_the_search_attributes_that_the_product_uses(self):
        script = (DEPLOY / "temporal/namespace.sh").read_text()
        words = re.search(r"for name in ([A-Za-z ]+); do", script)
        assert words
        assert {f"Runbook{word}" for word in words[1].split()} == {key.name for key in SEARCH_ATTRIBUTES}

    def test_histories_are_kept_for_ninety_days(self):
        assert "RETENTION=90d" in (DEPLOY / "temporal/namespace.sh").read_text()

    def test_the_dynamic_configuration_has_values_for_every_setting(self):
        settings = yaml.safe_load((DEPLOY / "temporal/dynamic-config.yaml").read_text())
        assert settings
        assert all("value" in choice for choices in settings.values() for choice in choices)


class TestPrometheus:
    def test_its_configuration_and_rules_are_valid(self):
        checked = promtool("check", "config", DEPLOY / "prometheus/prometheus.yml")
        assert checked.returncode == 0, checked.stderr

    def test_it_scrapes_only_what_compose_starts(self):
        configuration = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
        groups = [
            group
            for job in configuration["scrape_configs"]
            for group in [*job.get("static_configs", ()), *job.get("dns_sd_configs", ())]
        ]
        targets = [target for group in groups for target in group.get("targets", group.get("names", ()))]
        hosts = {target.partition(":")[0] for target in targets} - {"127.0.0.1"}
        assert hosts
        assert hosts <= set(compose()["services"])

    def test_it_scrapes_workers_where_they_serve_their_figures(self):
        configuration = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
        (job,) = [job for job in configuration["scrape_configs"] if job["job_name"] == "runbook-worker"]
        served = compose()["services"]["worker"]["environment"]["RUNBOOK_METRICS"]
        assert served.endswith(f":{job['dns_sd_configs'][0]['port']}")

    @pytest.mark.parametrize("rules", sorted(TESTS_OF_RULES.glob("*.test.yml")), ids=lambda path: path.name)
    def test_its_rules_fire_when_they_should_and_only_then(self, rules):
        tested = promtool("test", "rules", rules)
        assert tested.returncode == 0, tested.stdout + tested.stderr


class TestGrafana:
    def test_dashboards_ask_the_prometheus_that_is_provisioned(self):
        (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())[
            "datasources"
        ]
        assert source["url"] == "http://prometheus:9090"
        panels = [panel for _, panel in dashboard_panels()]
        assert len(panels) >= 20
        assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}

    def test_its_dashboards_are_where_it_looks_for_them(self):
        (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/runbooks.yml").read_text())[
            "providers"
        ]
        volumes = compose()["services"]["grafana"]["volumes"]
        assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in volumes

    def test_no_two_panels_of_a_dashboard_overlap(self):
        taken = set()
        for name, panel in dashboard_panels():
            at = panel["gridPos"]
            cells = {
                (name, x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells
            assert at["x"] + at["w"] <= 24


class TestExampleCatalog:
    def test_it_is_a_valid_catalog(self):
        catalog = load_catalog(DEPLOY / "catalog.example.toml")
        assert catalog.target("ai-processor", "prod").approvals.needed == 1


class TestIamPolicies:
    def test_every_action_is_one_that_aws_has(self):
        for action in allowed_actions():
            service, _, operation = action.partition(":")
            names = {"elasticloadbalancing": "elbv2"}
            client = boto3.client(names.get(service, service), region_name="us-east-1")
            if action != "iam:PassRole":  # a permission without a call of its own
                assert operation in client.meta.service_model.operation_names

    @pytest.mark.parametrize("name", POLICIES)
    def test_no_action_is_allowed_twice_or_by_wildcard(self, name):
        actions = list(allowed_actions(name))
        assert sorted(set(actions)) == sorted(actions)
        assert [action for action in actions if "*" in action] == []

    def test_they_only_allow(self):
        assert {statement["Effect"] for statement in policy_statements()} == {"Allow"}

    def test_what_changes_something_is_narrowed_to_a_kind_of_resource(self):
        verbs = re.compile(r":(?!Describe|List|Filter|Get)")
        for statement in policy_statements():
            if any(verbs.search(action) for action in several(statement["Action"])):
                assert statement["Resource"] != "*", statement["Sid"]

    def test_accounts_regions_and_names_are_to_be_filled_in_and_are_never_a_wildcard(self):
        for statement in policy_statements():
            for arn in several(statement["Resource"]):
                if arn == "*":
                    continue
                _, partition, service, region, account, name = arn.split(":", 5)
                assert partition == "aws"
                assert region in ({""} if service in {"iam", "s3"} else {"<region>"})
                assert account == ("" if service == "s3" else "<account>")
                # Ids that AWS makes: of deployments, revisions, tasks, scalable targets, subscriptions; S3's keys.
                assert "*" not in re.sub(r"(?<=[/:])\*$", "", name)

    def test_what_aws_does_not_narrow_by_resource_is_narrowed_by_region_or_cluster(self):
        wide = [statement for statement in policy_statements() if statement["Resource"] == "*"]
        keys = {
            tuple(several(statement["Action"])): [
                key for condition in statement.get("Condition", {}).values() for key in condition
            ]
            for statement in wide
        }
        assert keys.pop(("sts:GetCallerIdentity",)) == []  # allowed to everybody anyway
        assert all(found in (["ecs:cluster"], ["aws:RequestedRegion"]) for found in keys.values())

    def test_roles_are_passed_by_name_and_to_tasks_only(self):
        (statement,) = [each for each in policy_statements() if each["Action"] == "iam:PassRole"]
        assert statement["Condition"]["StringEquals"] == {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        assert [arn.rpartition("/")[2] for arn in statement["Resource"]] == [
            "<execution role>",
            "<task role>",
        ]

    def test_each_identity_asks_iam_about_itself_only(self):
        for name, itself in {
            "worker": "incident-runbooks-worker",
            "environment": "incident-runbooks-<environment>",
        }.items():
            (statement,) = [
                each for each in policy_statements(name) if "iam:SimulatePrincipalPolicy" in each["Action"]
            ]
            assert {arn.rpartition("/")[2] for arn in several(statement["Resource"])} == {itself}

    def test_the_worker_itself_changes_nothing_but_reviews(self):
        asking = {"sts:GetCallerIdentity", "iam:GetRole", "iam:SimulatePrincipalPolicy"}
        assert set(allowed_actions("worker")) - asking == {"sts:AssumeRole", "s3:PutObject"}
        assert not {"sts:AssumeRole", "s3:PutObject"} & set(allowed_actions("environment"))

    def test_every_change_that_doctor_asks_iam_about_is_allowed(self):
        code = (ROOT / "activities/doctor/permissions.py").read_text()
        asked = set(re.findall(r'Change\(\s*"([\w-]+:\w+)"', code))
        assert len(asked) == 9
        assert sorted(asked - set(allowed_actions())) == []

    def test_the_simulator_is_given_every_key_that_the_policies_have_conditions_on(self):
        keys = {
            key
            for statement in policy_statements()
            for condition in statement.get("Condition", {}).values()
            for key in condition
        }
        assert keys
        given = (ROOT / "activities/doctor/permissions.py").read_text()
        assert [key for key in sorted(keys) if f'"{key}"' not in given] == []

    def test_every_aws_call_in_the_code_is_allowed(self):
        allowed = set(allowed_actions())
        assert sorted(calls_in_the_code() - allowed) == []

    def test_nothing_is_allowed_that_the_code_does_not_call(self):
        implied = {
            "iam:PassRole",  # RegisterTaskDefinition hands roles over
            "ecs:TagResource",  # RegisterTaskDefinition with tags
            "ecs:ListTagsForResource",  # DescribeTaskDefinition with its tags
        }
        assert sorted(set(allowed_actions()) - calls_in_the_code() - implied) == []

    def test_filled_in_it_allows_every_change_of_the_stories_and_none_in_another_environment(self):
        made = set(changed_in_stories("prod"))
        assert {action for action, _ in made} >= {
            "ecs:UpdateService",
            "ecs:RegisterTaskDefinition",
            "iam:PassRole",
        }
        assert [change for change in sorted(made) if not is_allowed(*change)] == []
        # Signed scale-outs leave there whose yes they used up.
        service = "arn:aws:ecs:us-east-1:123456789012:service/ai-processor-prod/ai-processor-service-prod"
        assert is_allowed("ecs:TagResource", service)
        elsewhere = [(action, arn.replace("prod", "staging")) for action, arn in sorted(made)]
        assert [change for change in elsewhere if is_allowed(*change)] == []


@cache
def calls_in_the_code():
    """Every AWS call that the activities make by name, as a client's method or as a paginator."""
    spelled = {}
    for service in (
        "ecs",
        "logs",
        "application-autoscaling",
        "cloudwatch",
        "elbv2",
        "rds",
        "s3",
        "sts",
        "iam",
    ):
        client = boto3.client(service, region_name="us-east-1")
        for method, operation in client.meta.method_to_api_mapping.items():
            name = client.meta.service_model.signing_name if service == "elbv2" else service
            spelled.setdefault(method, f"{name}:{operation}")
    calls = set()
    for module in sorted((ROOT / "activities").rglob("*.py")):
        for match in re.finditer(r"\.get_paginator\(\s*\"(\w+)\"|\.(\w+)\(", module.read_text()):
            calls.add(spelled.get(match[1] or match[2]))
    return calls - {None}
