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
from runbook_model.measured.measurements import EXCERPT
from tests.observing import NOW, B, G, N, a_target, an_observation, at, seconds
from tests.unit.text.test_log_levels import ERRORS

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
