"""The link to a run's trace: what the catalog may say, and where people see it."""

from datetime import timedelta

import pytest

from runbook_model.catalog.catalog import parse_catalog
from runbook_model.catalog.target import trace_link, with_trace
from runbook_model.errors import CatalogError
from runbook_model.text.redaction import redact
from tests.incidents import POLICY, T0, at, incident
from workflows.decisions.announcing import announcement
from workflows.incidents.report import report

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TEMPO = "https://tempo.example/trace/{trace_id}"
LINKS = {"grafana": "https://grafana.test", "traces": TEMPO}


def links_of(address):
    return parse_catalog(
        f"environments = {{}}\nservices = {{}}\n[links]\ntraces = '{address}'", "c.toml"
    ).links


@pytest.mark.parametrize(
    "address", [TEMPO, "http://127.0.0.1:16686/trace/{trace_id}", "https://g.test?a=%7B1%7D&id={trace_id}#x"]
)
def test_an_address_with_a_place_for_the_id_is_taken(address):
    assert links_of(address) == {"traces": address}


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        (
            "https://tempo.example/trace/",
            "does not say where the trace's id belongs: write {trace_id} there",
        ),
        (
            "https://tempo.example/{traceId}",
            "{traceId} is not known: write {trace_id} where the trace's id belongs, and nothing else in braces",
        ),
        (
            "https://tempo.example/{trace_id}/{span}",
            "{span} is not known: write {trace_id} where the trace's id belongs, and nothing else in braces",
        ),
        (
            "https://tempo.example/{trace_id",
            "{trace_id is not known: write {trace_id} where the trace's id belongs, and nothing else in braces",
        ),
        (
            "https://bob:secret@tempo.example/{trace_id}",
            "holds a user or password, which would go into history; take it out, and use ssh_key_file or a variable",
        ),
        (
            "javascript:alert({trace_id})",
            "is not an address: start it with http:// or https://, without user, password and spaces",
        ),
    ],
)
def test_any_other_is_refused_with_file_key_value_and_fix(address, problem):
    with pytest.raises(CatalogError) as refused:
        links_of(address)
    assert refused.value.problems == (f'c.toml: links.traces = "{redact(address)}": {problem}',)
    assert "secret" not in str(refused.value)


def test_a_trace_is_linked_by_its_id_only_where_there_is_one():
    assert trace_link(LINKS, ID) == f"https://tempo.example/trace/{ID}"
    assert trace_link(LINKS, None) is None
    assert trace_link({}, ID) is None
    assert with_trace(LINKS, None) == {"grafana": "https://grafana.test"}


def test_an_id_that_somebody_made_up_stays_one_part_of_the_address():
    assert trace_link(LINKS, "../x y?") == "https://tempo.example/trace/..%2Fx%20y%3F"


def traced_incident(**fields):
    policy = POLICY.model_copy(update={"links": LINKS})
    return incident("HighErrorRate", policy=policy, **fields)


def test_people_are_notified_of_an_incident_with_the_link_to_its_trace():
    said = announcement(traced_incident(trace_id=ID), "started", at(1))
    assert said.links == {"grafana": "https://grafana.test", "traces": f"https://tempo.example/trace/{ID}"}
    assert announcement(traced_incident(), "started", at(1)).links == {"grafana": "https://grafana.test"}


def test_an_incident_shows_its_trace_once_the_catalog_was_looked_up():
    now = T0 + timedelta(minutes=1)
    assert report(traced_incident(trace_id=ID), now).trace == f"https://tempo.example/trace/{ID}"
    assert report(incident(trace_id=ID, policy=None), now).trace is None
    assert report(traced_incident(), now).trace is None
