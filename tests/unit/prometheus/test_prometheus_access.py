"""Prometheus as teams have it: behind basic, bearer, Signature Version 4, headers, and certificates of their own."""

import base64
import json
import logging
import subprocess
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from activities.aws.clients import AwsClients
from activities.http.client import http_client
from activities.prometheus.client import LONGEST_ADDRESS, Stores
from runbook_model.catalog.accounts import Account
from runbook_model.catalog.catalog import parse_catalog
from runbook_model.catalog.prometheus import PrometheusAccess
from runbook_model.errors import AccessDeniedError, CatalogError, RejectedError, ThrottledError
from starter.paper.commands import query
from tests.observing import a_target

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session+token/of=a-role"
PASSWORD = "correct-horse-battery"
NUMBER = {
    "status": "success",
    "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "7"]}]},
}


class Proxy(BaseHTTPRequestHandler):
    """Lets in whom its server's ``check`` lets in, and answers every query with a number."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        self.server.asked.append(self)
        status, answer, headers = self.server.check(self) or (200, json.dumps(NUMBER), {})
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name, value)
        body = answer.encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - http.server's name

    @property
    def query(self) -> str:
        return parse_qs(self.body.decode() or urlsplit(self.path).query)["query"][0]

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@contextmanager
def proxy(check, tls=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads, server.check, server.asked = True, check, []
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server, f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def ask(url, promql="up", account=None, **access):
    async with http_client() as http:
        stores = Stores(http, AwsClients())
        access = PrometheusAccess(url=url, **access)
        return await stores.at(access, account or access.account("prod", "us-east-1", None)).value(promql)


def wants(why="no org id", **headers):
    """A proxy that lets in who sends these headers."""

    def check(request):
        if all(request.headers.get(name.replace("_", "-")) == value for name, value in headers.items()):
            return None
        return 401, f"{why}\n", {"Content-Type": "text/plain"}

    return check


def verifies(service, region, token=TOKEN):
    """A proxy that signs what it got once more by botocore, and compares the signatures."""

    def check(request):
        sent = request.headers["Authorization"] or ""
        signed = sent.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        again = AWSRequest(
            method=request.command,
            url=f"http://{request.headers['Host']}{request.path}",
            data=request.body,
            headers={name: request.headers[name] for name in signed if not name.startswith("x-amz-")},
        )
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        auth = SigV4Auth(Credentials(KEY, SECRET, token), service, region)
        auth._modify_request_before_signing(again)
        canonical = auth.canonical_request(again)
        signature = auth.signature(auth.string_to_sign(again, canonical), again)
        if sent.endswith(f"Signature={signature}") and f"/{region}/{service}/aws4_request" in sent:
            return None
        return 403, json.dumps({"message": f"signature does not match {sent}"}), {}

    return check


@pytest.fixture
def aws(monkeypatch):
    for name, value in (("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET), ("SESSION_TOKEN", TOKEN)):
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.fixture
def password(monkeypatch):
    monkeypatch.setenv("METRICS_SECRET", PASSWORD)


async def test_a_tenants_header_lets_in():
    with proxy(wants(X_Scope_OrgID="team-a")) as (_, url):
        assert await ask(url, headers={"X-Scope-OrgID": "team-a"}) == 7


async def test_a_missing_tenant_is_refused_with_the_key_that_names_it():
    with proxy(wants(X_Scope_OrgID="team-a")) as (_, url), pytest.raises(AccessDeniedError) as refused:
        await ask(url)
    assert str(refused.value) == (
        "Prometheus wants to know who asks: HTTP 401: no org id; "
        'name the tenant in prometheus.headers: { "X-Scope-OrgID" = "…" }'
    )


@pytest.mark.parametrize(
    ("access", "header"),
    [
        ({"auth": "basic"}, {"Authorization": f"Basic {base64.b64encode(PASSWORD.encode()).decode()}"}),
        ({"auth": "bearer"}, {"Authorization": f"Bearer {PASSWORD}"}),
        ({"header_envs": {"X-Api-Key": "METRICS_SECRET"}}, {"X_Api_Key": PASSWORD}),
    ],
)
async def test_a_secret_of_the_workers_environment_lets_in(password, access, header):
    secret = {} if "header_envs" in access else {"secret_env": "METRICS_SECRET"}
    with proxy(wants(**header)) as (_, url):
        assert await ask(url, **access, **secret) == 7


async def test_a_secret_in_a_file_is_read_again_each_time(tmp_path):
    file = tmp_path / "token"
    with proxy(wants("who?", Authorization=f"Bearer {PASSWORD}")) as (_, url):
        file.write_text("old\n")
        with pytest.raises(AccessDeniedError, match=r"correct what .*token holds"):
            await ask(url, auth="bearer", secret_file=str(file))
        file.write_text(f"{PASSWORD}\n")
        assert await ask(url, auth="bearer", secret_file=str(file)) == 7


@pytest.mark.parametrize("length", [10, LONGEST_ADDRESS + 1])
@pytest.mark.parametrize(
    ("access", "service", "region"),
    [
        ({"sigv4_service": "aps"}, "aps", "eu-west-1"),
        ({"sigv4_service": "monitoring", "sigv4_region": "us-west-2"}, "monitoring", "us-west-2"),
    ],
)
async def test_requests_are_signed_as_botocore_verifies_them(aws, access, service, region, length):
    promql = 'sum by (le) (rate({"a.b", c=~"5..|x y+z*"}[5m]))' + "#" * length
    with proxy(verifies(service, region)) as (server, url):
        access = PrometheusAccess(url=f"{url}/workspaces/ws-1", auth="sigv4", **access)
        async with http_client() as http:
            store = Stores(http, AwsClients()).at(access, access.account("prod", "eu-west-1", None))
            assert await store.value(promql) == 7
        (request,) = server.asked
        assert (request.command, request.query) == ("POST" if length > LONGEST_ADDRESS else "GET", promql)


async def test_another_secret_is_refused_with_the_permission_that_is_needed(aws, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with (
        proxy(verifies("aps", "us-east-1")) as (_, url),
        pytest.raises(
            AccessDeniedError,
            match=r"does not let the worker ask: .*; allow the worker's AWS identity aps:QueryMetrics",
        ),
    ):
        await ask(url, auth="sigv4", sigv4_service="aps")  # fmt: skip


async def test_a_role_of_its_own_signs(aws, monkeypatch):
    role = "arn:aws:iam::123456789012:role/metrics"
    clients = AwsClients()
    assumed = []

    class Sts:
        def assume_role(self, **asked):
            assumed.append(asked["RoleArn"])
            end = datetime(2099, 1, 1, tzinfo=UTC)
            return {"Credentials": {"AccessKeyId": KEY, "SecretAccessKey": SECRET, "SessionToken": "theirs", "Expiration": end}}  # fmt: skip

    monkeypatch.setattr(clients, "sts", lambda _: Sts())
    with proxy(verifies("aps", "us-east-1", token="theirs")) as (_, url):
        access = PrometheusAccess(url=url, auth="sigv4", sigv4_service="aps", role_arn=role)
        async with http_client() as http:
            store = Stores(http, clients).at(access, access.account("prod", "us-east-1", None))
            assert await store.value("up") == 7
    assert assumed == [role]


@pytest.mark.parametrize(
    ("url", "service", "region"),
    [
        ("https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1", "aps", "eu-west-1"),
        ("https://vpce-0a-1b.aps-workspaces.us-gov-west-1.vpce.amazonaws.com/workspaces/ws-1", "aps", "us-gov-west-1"),
        ("https://monitoring.ap-southeast-2.amazonaws.com", "monitoring", "ap-southeast-2"),
        ("https://monitoring.cn-north-1.amazonaws.com.cn", "monitoring", "cn-north-1"),
    ],
)  # fmt: skip
def test_the_host_says_what_is_signed_for(url, service, region):
    access = PrometheusAccess(url=url, auth="sigv4")
    assert (access.service, access.account("prod", "us-east-1", None).region) == (service, region)


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ((401, "", {}), AccessDeniedError, 'who asks: HTTP 401: ; set prometheus.auth = "basic", "bearer" or "sigv4"'),
        ((422, '{"status":"error","errorType":"execution","error":"too many samples"}', {}), RejectedError,
         "could not execute the query: execution: too many samples; make verify.rate_window shorter"),
        ((429, "slow down", {"Retry-After": "600"}), ThrottledError, "is asked too much: HTTP 429: slow down; raise the store's"),
    ],
)  # fmt: skip
async def test_each_refusal_has_its_fix(answer, error, says):
    with proxy(lambda _: answer) as (server, url), pytest.raises(error) as refused:
        await ask(url)
    assert says in str(refused.value)
    assert len(server.asked) == 1


async def test_a_store_that_says_when_is_asked_again():
    answers = [(429, "", {"Retry-After": "0"}), None]
    with proxy(lambda _: answers.pop(0)) as (_, url):
        assert await ask(url) == 7


async def test_secrets_are_in_no_error_and_no_log(password, caplog):
    caplog.set_level(logging.DEBUG)

    def echo(request):
        return 403, f"who is {request.headers['Authorization']} {PASSWORD}", {"Content-Type": "text/plain"}

    with proxy(echo) as (_, url):
        for auth in ("basic", "bearer"):
            with pytest.raises(AccessDeniedError) as refused:
                await ask(url, auth=auth, secret_env="METRICS_SECRET")
            shown = str(refused.value) + caplog.text
            assert PASSWORD not in shown
            assert base64.b64encode(PASSWORD.encode()).decode() not in shown


@pytest.mark.parametrize("secret", ["two\nlines", "ümlaut", ""])
async def test_a_secret_that_can_be_no_header_is_refused_without_showing_it(monkeypatch, secret):
    monkeypatch.setenv("METRICS_SECRET", secret)
    with proxy(lambda _: None) as (server, url), pytest.raises(AccessDeniedError) as refused:
        await ask(url, auth="bearer", secret_env="METRICS_SECRET")
    assert "METRICS_SECRET" in str(refused.value)
    assert not secret or secret not in str(refused.value)
    assert server.asked == []


@pytest.fixture
def certificate(tmp_path):
    """A certificate that signs itself, and its key."""
    key, pem = tmp_path / "key.pem", tmp_path / "ours.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=metrics", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", pem],
        check=True, capture_output=True,
    )  # fmt: skip
    return pem, key


async def test_authorities_of_its_own_are_trusted_and_no_others(tmp_path, certificate):
    pem, key = certificate
    tls = SSLContext(PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, key)
    with proxy(lambda _: None, tls) as (_, url):
        assert await ask(url, ca_file=str(pem)) == 7
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            await ask(url)
        with pytest.raises(AccessDeniedError, match=r"correct prometheus\.ca_file"):
            await ask(url, ca_file=str(tmp_path / "gone.pem"))


CATALOG = """
[environments.prod]
cluster = "shop-prod"
{}
[environments.prod.prometheus]
url = "https://metrics.test"
{}
[services.shop.prod]
ecs_service = "shop"
"""


@pytest.mark.parametrize(
    ("environment", "prometheus", "says"),
    [
        ('prometheus_url = "http://x.test"', "", "prometheus_url and prometheus are the same: remove prometheus_url"),
        ("", 'auth = "basic"', 'auth "basic" needs a secret: add secret_env = "…", the variable that holds user:password'),
        ("", 'auth = "bearer"\nsecret_env = "A"\nsecret_file = "b"', "are one secret: remove one"),
        ("", 'secret_env = "A"', 'secret_env is for auth = "basic" or "bearer"'),
        ("", 'auth = "sigv4"', 'its host does not say what to sign for: add sigv4_service = "aps" or "monitoring"'),
        ("", 'sigv4_region = "eu-west-1"', 'sigv4_region is for auth = "sigv4"'),
        ("", 'headers = { Authorization = "Bearer x" }', "headers.Authorization would be a secret in the catalog"),
        ("", 'headers = { "X-A" = "1" }\nheader_envs = { "x-a" = "B" }', "the header x-a is there twice"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_fix(environment, prometheus, says):
    with pytest.raises(CatalogError) as refused:
        parse_catalog(CATALOG.format(environment, prometheus), "runbook.toml")
    assert says in "\n".join(refused.value.problems)


def test_a_target_carries_the_names_of_secrets_only(password):
    catalog = parse_catalog(
        CATALOG.format("", 'auth = "bearer"\nsecret_env = "METRICS_SECRET"'), "runbook.toml"
    )
    target = catalog.target("shop", "prod")
    assert (target.prometheus_url, target.store.secret_env) == ("https://metrics.test", "METRICS_SECRET")
    assert PASSWORD not in target.model_dump_json()


def test_the_paper_runbook_asks_as_the_worker_does():
    access = PrometheusAccess(
        url="https://metrics.test", auth="bearer", secret_env="TOKEN", headers={"X-Scope-OrgID": "a b"}
    )
    target = a_target(prometheus=access, prometheus_url=access.url)
    assert query(target, "up") == (
        "curl -sG https://metrics.test/api/v1/query --data-urlencode query=up "
        "--oauth2-bearer \"$TOKEN\" -H 'X-Scope-OrgID: a b'"
    )
    account = Account(region="us-east-1")
    assert access.account("prod", "us-east-1", None) == account
