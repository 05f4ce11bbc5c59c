import re

import httpx
import pytest

from activities.prometheus.answers import NoData
from activities.prometheus.client import Prometheus
from runbook_model.errors import AccessDeniedError, RejectedError, ThrottledError, UnreachableError
from tests.observing import a_prometheus, client


def answering(status=200, *, series=(), **more):
    body = {"status": "success", "data": {"resultType": "vector", "result": list(series)}, **more}
    return reader(lambda _: httpx.Response(status, json=body))


def reader(answer) -> Prometheus:
    return a_prometheus(client(answer))


def sample(value: str, **labels: str):
    return {"metric": labels, "value": [1772334000.123, value]}


async def test_one_series_is_its_number():
    assert await answering(series=[sample("0.021")]).value("q") == 0.021


async def test_the_query_is_sent_as_it_is():
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, request.url.params["query"]))
        return httpx.Response(
            200, json={"status": "success", "data": {"resultType": "vector", "result": [sample("1")]}}
        )

    await reader(answer).value('a{b="c+d"}')
    assert asked == [("/api/v1/query", 'a{b="c+d"}')]


@pytest.mark.parametrize(
    ("series", "why"),
    [
        ([], "no such series"),
        ([sample("NaN")], "NaN: there was nothing to divide by"),
        ([sample("+Inf")], r"\+Inf: there was nothing to divide by"),
        ([sample("1", a="x"), sample("2", a="y")], "2 series where one was expected"),
    ],
)
async def test_an_answer_that_says_nothing_is_no_data_and_says_why(series, why):
    value = await answering(series=series).value("q")
    assert isinstance(value, NoData)
    assert re.search(why, value.why)


async def test_an_answer_with_warnings_is_not_trusted():
    value = await answering(series=[sample("0")], warnings=["store gateway away"]).value("q")
    assert value == NoData(why="Prometheus warns that the answer may be incomplete: store gateway away")


async def test_prometheus_3_infos_are_no_warnings():
    assert await answering(series=[sample("0")], infos=["metric might not be a counter"]).value("q") == 0


async def test_infos_among_the_warnings_are_passed_over():
    infos = ["PromQL info: input to histogram_quantile needed to be fixed for monotonicity"]
    assert await answering(series=[sample("0")], warnings=infos).value("q") == 0
    assert await answering(series=[sample("0")], warnings=None).value("q") == 0


async def test_one_real_warning_among_infos_is_no_data():
    value = await answering(series=[sample("0")], warnings=["PromQL info: x", "store away"]).value("q")
    assert value == NoData(why="Prometheus warns that the answer may be incomplete: store away")


async def test_a_partial_answer_is_no_data():
    value = await answering(series=[sample("0")], isPartial=True).value("q")
    assert value == NoData(why="Prometheus warns that the answer may be incomplete: it is partial")


async def test_a_prometheus_that_redirects_is_named_with_where_it_leads():
    answer = httpx.Response(302, headers={"location": "https://login.test/"})
    with pytest.raises(RejectedError, match=r"it answers 302, a redirect to https://login\.test/"):
        await reader(lambda _: answer).value("q")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RejectedError),
        (401, AccessDeniedError),
        (403, AccessDeniedError),
        (404, RejectedError),
        (422, RejectedError),
        (429, ThrottledError),
        (500, UnreachableError),
        (503, UnreachableError),
    ],
)
async def test_every_other_status_is_an_error_of_its_own_kind_with_prometheus_words(status, error):
    body = {"status": "error", "errorType": "bad_data", "error": "parse error"}
    with pytest.raises(error, match="bad_data: parse error"):
        await reader(lambda _: httpx.Response(status, json=body)).value("q")


async def test_status_error_in_a_good_answer_is_an_error():
    body = {"status": "error", "errorType": "execution", "error": "too many samples"}
    with pytest.raises(UnreachableError, match="execution: too many samples"):
        await reader(lambda _: httpx.Response(200, json=body)).value("q")


async def test_half_an_answer_is_tried_again():
    headers = {"content-type": "application/json"}
    with pytest.raises(UnreachableError, match="could not read Prometheus's answer"):
        await reader(lambda _: httpx.Response(200, text='{"status": "succ', headers=headers)).value("q")


async def test_a_web_page_is_no_prometheus_and_the_fix_is_named():
    with pytest.raises(RejectedError, match=r"not a Prometheus.*correct prometheus_url in the catalog"):
        await reader(lambda _: httpx.Response(200, html="<html>Log in</html>")).value("q")


@pytest.mark.parametrize(
    ("raised", "words", "landed"),
    [
        (httpx.ReadTimeout("slow"), "no answer in time", True),
        (httpx.ConnectTimeout("slow"), "no answer in time", False),
        (httpx.ConnectError("refused"), "refused", False),
        (httpx.RemoteProtocolError("cut off"), "cut off", True),
    ],
)
async def test_no_answer_is_unreachable_and_says_whether_the_request_was_sent(raised, words, landed):
    def answer(request: httpx.Request) -> httpx.Response:
        raise raised

    with pytest.raises(UnreachableError, match=f"could not ask Prometheus: {words}") as caught:
        await reader(answer).value("q")
    assert caught.value.may_have_landed is landed


async def test_several_series_are_read_by_a_label():
    series = [sample("3", type="timeout"), sample("1", type="processing"), sample("NaN", type="odd")]
    assert await answering(series=series).values("q", "type") == {"timeout": 3.0, "processing": 1.0}
