import re
from contextlib import contextmanager

import boto3
import pytest
from botocore.stub import Stubber

from activities.aws.errors import aws_errors
from activities.cloudwatch.logs import PAGES, PATTERN, filter_error_events
from activities.measuring.instruments import Instruments
from activities.measuring.logs import LINE, measure_error_lines
from activities.measuring.sources import Sources
from runbook_model.errors import AccessDeniedError, CredentialsError, NotFoundError
from runbook_model.measurements import EXCERPT
from runbook_model.redaction import HIDDEN, excerpt, redact
from tests.observing import NOW, B, G, N, a_target, an_observation, at, seconds
from tests.unit.test_log_levels import ERRORS

SINCE = at(-15)
REQUEST = {
    "logGroupName": "/ecs/ai-processor-prod",
    "startTime": int(SINCE.timestamp() * 1000),
    "endTime": int(NOW.timestamp() * 1000),
    "filterPattern": PATTERN,
    "limit": 1000,
}


class StubbedClients:
    """The clients of a worker, with CloudWatch Logs answering what a test wrote down."""

    def __init__(self):
        self.client = boto3.client(
            "logs", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
        )
        self.stub = Stubber(self.client)
        self.stub.activate()

    def logs(self, account):
        assert account.region == "us-east-1"
        return self.client

    @staticmethod
    @contextmanager
    def naming_errors(doing):
        with aws_errors(doing):
            yield


@pytest.fixture
def clients():
    stubbed = StubbedClients()
    yield stubbed
    stubbed.stub.assert_no_pending_responses()


def page(*messages, first=0, token=None):
    events = [{"timestamp": first + index, "message": text} for index, text in enumerate(messages)]
    return {"events": events} | ({"nextToken": token} if token else {})


async def read(clients, since=SINCE, **changes):
    look = an_observation(target=a_target(**changes), since=since)
    return await Instruments(Sources(clients, None, None)).log_errors(look, NOW)


async def test_error_lines_are_counted_by_the_minute_and_never_decide(clients):
    clients.stub.add_response(
        "filter_log_events", page("ERROR a", "java.lang.IllegalStateException: b"), REQUEST
    )
    reading = await read(clients)
    assert (reading.quality, reading.value, reading.decides) == (B, 8.0, False)
    assert reading.detail == "2 error lines in 15s"
    assert reading.excerpt == ("ERROR a", "java.lang.IllegalStateException: b")


async def test_a_log_without_error_lines_is_good_and_decides_nothing(clients):
    clients.stub.add_response("filter_log_events", page("INFO started", "no errors so far"), REQUEST)
    reading = await read(clients)
    assert (reading.quality, reading.value, reading.decides) == (G, 0.0, False)


REFUSED = '{"level":"error","msg":"dial tcp: connection refused"}'


async def test_five_lines_of_json_with_a_lower_case_level_are_five_errors_and_name_the_dependency(clients):
    lines = [REFUSED] * 5 + ['{"level":"info","msg":"no error"}']
    clients.stub.add_response("filter_log_events", page(*lines))
    found = await measure_error_lines(Sources(clients, None, None), a_target(), seconds(60), NOW)
    assert (found.count, found.dependencies) == (5, {"connection": 5})


async def test_the_teams_own_pattern_takes_the_place_of_levels(clients):
    request = {key: value for key, value in REQUEST.items() if key != "filterPattern"}
    clients.stub.add_response("filter_log_events", page("ERROR a", "order lost: 7", "order kept"), request)
    reading = await read(clients, error_pattern="order (lost|stuck)")
    assert reading.excerpt == ("order lost: 7",)


async def test_no_error_among_the_first_of_many_lines_is_no_data_and_not_zero(clients):
    for number in range(PAGES):
        request = REQUEST | ({"nextToken": f"t{number}"} if number else {})
        clients.stub.add_response("filter_log_events", page("INFO x", token=f"t{number + 1}"), request)
    reading = await read(clients)
    assert (reading.quality, reading.detail) == (N, "there are more lines in 15s than are read")


@pytest.mark.parametrize("line", ERRORS.values(), ids=ERRORS.keys())
def test_cloudwatch_is_asked_for_whatever_counts_as_an_error(line):
    assert re.search(PATTERN.strip("%"), line), "its syntax here is that of Python"


async def test_an_empty_page_with_a_token_is_not_the_end(clients):
    clients.stub.add_response("filter_log_events", page(token="t"), REQUEST)
    clients.stub.add_response("filter_log_events", page("FATAL x"), REQUEST | {"nextToken": "t"})
    assert (await read(clients)).detail == "1 error line in 15s"


async def test_pages_are_bounded_and_the_count_is_then_said_to_be_a_lower_bound(clients):
    for number in range(PAGES):
        request = REQUEST | ({"nextToken": f"t{number}"} if number else {})
        clients.stub.add_response("filter_log_events", page("ERROR x", token=f"t{number + 1}"), request)
    assert (await read(clients)).detail == f"at least {PAGES} error lines in 15s"


async def test_only_the_newest_lines_are_shown_redacted_and_cut(clients):
    lines = [f"ERROR {number} password=hunter2 " + "x " * 500 for number in range(5)]
    clients.stub.add_response("filter_log_events", page(*lines), REQUEST)
    shown = (await read(clients)).excerpt
    assert [line[:8] for line in shown] == ["ERROR 2 ", "ERROR 3 ", "ERROR 4 "]
    assert len(shown) == EXCERPT
    assert all(len(line) == LINE and "hunter2" not in line for line in shown)


async def test_a_moment_long_ago_is_cut_to_the_rate_window(clients):
    clients.stub.add_response("filter_log_events", page(), REQUEST)
    assert (await read(clients, at(-86_400))).detail == "0 error lines in 15s"


async def test_a_moment_just_now_is_not_made_into_a_huge_rate(clients):
    request = REQUEST | {"startTime": REQUEST["endTime"] - 1000}
    clients.stub.add_response("filter_log_events", page("ERROR a"), request)
    assert (await read(clients, NOW - seconds(1))).value == 6.0


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AccessDeniedException", AccessDeniedError),
        ("ResourceNotFoundException", NotFoundError),
        ("ExpiredTokenException", CredentialsError),
    ],
)
async def test_an_unreadable_log_group_is_an_error_that_names_it(clients, code, error):
    clients.stub.add_client_error("filter_log_events", code, http_status_code=400)
    with pytest.raises(error, match="could not read the log group /ecs/ai-processor-prod"):
        filter_error_events(clients, a_target(), SINCE, NOW)


async def test_a_target_without_log_group_has_no_log_readings(clients):
    reading = await read(clients, log_group=None)
    assert (reading.quality, reading.decides) == (N, False)


AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
SECRETS = [
    ("password=hunter2", "hunter2"),
    ("DB_PASSWORD: 'two words'", "two words"),
    ('{"api_key": "abc def", "status": 500}', "abc def"),
    (r'{"log": "{\"token\": \"abc\"}"}', "abc"),
    ("connecting to postgres://app:s3cr3t@db.internal:5432/app", "s3cr3t"),
    ("redis://:onlypass@cache:6379/0", "onlypass"),
    ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
    ("header authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("key AKIA" + "IOSFODNN7EXAMPLE is used", "IOSFODNN7EXAMPLE"),
    (f"signed with {AWS_SECRET} today", AWS_SECRET),
    ("https://x.test/?a=1&X-Amz-Signature=0a1b2c&b=2", "0a1b2c"),
    ("token ghp" + "_0123456789abcdefghij", "0123456789abcdefghij"),
    ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0", "eyJzdWIiOiIx"),
    ("posting to https://hooks.slack.com/services/T0/B0/xyz", "T0/B0/xyz"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "MIIEow"),
    ("-----BEGIN PRIVATE KEY----- MIIEow cut o", "MIIEow"),
    ("id 5f4dcc3b5aa765d61d8327deb882cf99a1b2c3d4", "5f4dcc3b5aa765d61d8327deb882cf99a1b2c3d4"),
]


@pytest.mark.parametrize(("line", "secret"), SECRETS)
def test_secrets_do_not_get_through(line, secret):
    assert secret in line
    assert secret not in redact(line)
    assert HIDDEN in redact(line)


@pytest.mark.parametrize(
    "line",
    [
        "ERROR processing failed: the model returned no result path=/api/v1/process status=500",
        "2026-03-01T03:00:00Z ERROR timeout after 30s calling http://inference:8000/v1",
        "Traceback (most recent call last): File app/main.py, line 42, in process",
    ],
)
def test_what_is_no_secret_stays_readable(line):
    assert redact(line) == line


def test_a_secret_that_a_cut_would_split_is_hidden_first():
    assert "s3cr" not in excerpt("x" * 90 + " password=s3cr3t and more words", 105)


@pytest.mark.parametrize(
    "hostile", ["a." * 2000, "token" * 800, "x://:" * 800, "a=b;" * 1000, 'password="' * 400]
)
def test_hostile_text_does_not_keep_a_worker_busy(hostile):
    for _ in range(100):  # seconds at most; before names were taken as a whole, minutes
        redact(hostile)
