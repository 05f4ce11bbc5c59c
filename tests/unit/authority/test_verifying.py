"""Statements and warrants: what counts, and the reason why what does not is refused."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.authority.verify import verify_all, verify_statement, verify_warrant
from runbook_model.authority.canonical import canonical, hash_of, subject_of
from runbook_model.authority.statement import FIELDS, MAY_HAVE, SignedStatement, Warrant, parse_statement
from runbook_model.errors import InputError, Rejected
from runbook_model.names.people import person_behind, same_person
from tests.unit.authority.signing import EXPECTED, NOW, POLICY, SoftKey, a_statement, signers

BOB, CAROL, DAVE = (SoftKey("ssh-ed25519") for _ in range(3))
TOUCHED = SoftKey("sk-ssh-ed25519@openssh.com")
FILE = signers(BOB.signer("bob"), CAROL.signer("carol"), DAVE.signer("dave"), TOUCHED.signer("bob"))


def verified(signed: SignedStatement, *, expected=EXPECTED, policy=POLICY, file=FILE, at=NOW):
    return verify_statement(signed, expected, policy, file, at)


def test_a_yes_to_what_is_shown_counts_with_person_and_key():
    found = verified(BOB.says())
    assert (found.person, found.kind, found.option, found.decision_id) == ("bob", "approve", "approve", "d-1")
    assert found.key.startswith("SHA256:")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"namespace": "other"}, 'namespace is "other", and this is "default"'),
        ({"workflow_id": "remediation/prod/cart"}, "workflow_id is"),
        ({"run_id": "another"}, "run_id is"),
        ({"environment": "staging"}, "environment is"),
        ({"service": "cart"}, "service is"),
        ({"procedure": "high-latency"}, "procedure is"),
        ({"gate": 2}, "gate is 2, and this is 1"),
        ({"subject": "0" * 64}, "about something else than what is shown"),
        ({"requester": "mallory"}, "requester is"),
        ({"kind": "resume", "sequence": 0}, "a statement of kind resume has no gate, procedure, requester"),
        ({"signer": "alice"}, "alice asked for this and may not approve it"),
        ({"signer": "mallory"}, "mallory may not decide here; bob, carol, dave may"),
        ({"signer": "carol"}, "is not carol's"),
        ({"signer": "agent:claude for bob"}, "is an agent, and never decides"),
        ({"on_behalf_of": "carol"}, "nobody signs on behalf of somebody else here"),
        ({"expires_at": NOW + timedelta(minutes=16)}, "is valid for 16m, longer than 15m"),
        ({"expires_at": NOW}, "expires before it was issued"),
        (
            {"issued_at": NOW - timedelta(minutes=20), "expires_at": NOW - timedelta(minutes=6)},
            "expired at 2026-01-31 11:54:00 UTC; sign again",
        ),
        (
            {"issued_at": NOW + timedelta(minutes=6), "expires_at": NOW + timedelta(minutes=9)},
            "issued in the future",
        ),
    ],
)
def test_a_statement_about_something_else_is_refused(said, why):
    with pytest.raises(Rejected) as refused:
        verified(BOB.says(**said))
    assert why in str(refused.value)


def test_clocks_may_differ_by_five_minutes():
    past, future = NOW - timedelta(minutes=15), NOW + timedelta(minutes=5)
    verified(BOB.says(issued_at=past, expires_at=NOW - timedelta(minutes=5)))
    verified(BOB.says(issued_at=future, expires_at=future + timedelta(minutes=1)))


def test_whoever_asked_may_approve_where_the_policy_says_so():
    policy = POLICY.model_copy(update={"requester_may": True, "people": ("alice", "bob")})
    alice = SoftKey("ecdsa-sha2-nistp256")
    file = signers(alice.signer("alice"))
    assert verified(alice.says(signer="alice"), policy=policy, file=file).person == "alice"


def test_a_person_may_not_approve_what_their_agent_asked_for():
    expected = EXPECTED.model_copy(update={"requester": "agent:claude for Bob"})
    with pytest.raises(Rejected, match="bob asked for this"):
        verified(BOB.says(requester="agent:claude for Bob"), expected=expected)


def test_hardware_means_keys_that_were_touched():
    policy = POLICY.model_copy(update={"hardware": True})
    assert verified(TOUCHED.says(), policy=policy).in_hardware
    with pytest.raises(Rejected, match="is not in hardware; use an sk- key"):
        verified(BOB.says(), policy=policy)


def test_a_key_that_nobody_put_into_the_file_does_not_count():
    with pytest.raises(Rejected, match="is not in signers"):
        verified(SoftKey("ssh-ed25519").says())


def test_a_key_counts_at_the_time_that_is_asked_about():
    until = signers(BOB.signer("bob", f'valid-before="{NOW:%Y%m%d%H%M}Z"'))
    assert verified(BOB.says(), file=until).person == "bob"
    with pytest.raises(Rejected, match="is not valid after 2026-01-31 12:00 UTC"):
        verified(BOB.says(), file=until, at=NOW + timedelta(minutes=1))


def test_people_and_keys_are_counted_once_each():
    policy = POLICY.model_copy(update={"needed": 2})
    both = (BOB.says(), CAROL.says(signer="carol", decision_id="d-2"))
    assert {item.person for item in verify_all(both, EXPECTED, policy, FILE, NOW).people} == {"bob", "carol"}
    twice = (BOB.says(), TOUCHED.says(decision_id="d-2"))
    with pytest.raises(Rejected, match="1 person signed by 2 keys, and 2 different people must"):
        verify_all(twice, EXPECTED, policy, FILE, NOW)
    shared = signers(BOB.signer("bob,carol"))
    one_key = (BOB.says(), BOB.says(signer="carol", decision_id="d-2"))
    with pytest.raises(Rejected, match="2 people signed by 1 key, and 2 different people must"):
        verify_all(one_key, EXPECTED, policy, shared, NOW)
    with pytest.raises(Rejected, match="nobody signed, and 2 people must"):
        verify_all((), EXPECTED, policy, FILE, NOW)


def test_who_signed_different_options_did_not_agree():
    expected = EXPECTED.model_copy(update={"kinds": ("choose",), "options": ("restart", "wait")})
    both = (
        BOB.says(kind="choose", option="restart"),
        CAROL.says(kind="choose", option="wait", signer="carol"),
    )
    policy = POLICY.model_copy(update={"needed": 2})
    with pytest.raises(Rejected, match="chose different options"):
        verify_all(both, expected, policy, FILE, NOW)
    with pytest.raises(Rejected, match='there is no option "burn"; choose one of restart, wait'):
        verified(BOB.says(kind="choose", option="burn"), expected=expected)


def test_a_warrant_is_over_the_document_that_it_brings():
    document = canonical({"question": "Roll back?"})
    signed = BOB.says(subject=hash_of(document))
    warrant = Warrant(document=document, statements=(signed,))
    assert verify_warrant(warrant, EXPECTED, POLICY, FILE, NOW).people[0].person == "bob"
    other = warrant.model_copy(update={"document": document.replace("back", "on")})
    with pytest.raises(Rejected, match="about something else"):
        verify_warrant(other, EXPECTED, POLICY, FILE, NOW)


@pytest.mark.parametrize("kind", FIELDS)
def test_a_statement_has_exactly_the_fields_of_its_kind(kind):
    every = {
        "sequence": 0,
        "option": "done",
        "on_behalf_of": "carol",
        **a_statement().model_dump(mode="json", exclude_none=True),
    } | {"kind": kind}
    right = {key: every[key] for key in FIELDS[kind]}
    parse_statement(json.dumps(right))
    for key in MAY_HAVE[kind]:
        parse_statement(json.dumps(right | {key: every[key]}))
    for key in FIELDS[kind]:
        with pytest.raises(Rejected):
            parse_statement(json.dumps({name: value for name, value in right.items() if name != key}))
    for key in every.keys() - FIELDS[kind] - MAY_HAVE[kind]:
        with pytest.raises(Rejected, match=f"has no {key}"):
            parse_statement(json.dumps(right | {key: every[key]}))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        ("[" * 5000, "not JSON"),
        ('{"v":1,"v":1}', "a key is there twice"),
        ('{"v":NaN}', "NaN is no number"),
        ("x" * 9000, "longer than 8192"),
        (a_statement().text().replace('"v":1', '"v":2'), "v: Input should be less than or equal to 1"),
        (a_statement().text().replace('"v":1', '"v":true'), "v: Input should be a valid integer"),
        (a_statement().text().replace('"gate":1', '"gate":"1"'), "gate: Input should be a valid integer"),
        (a_statement().text().replace('"gate":1', '"gate":1.0'), "gate: Input should be a valid integer"),
        (a_statement().text().replace('"gate":1', '"gate":null'), "gate is null"),
        (a_statement().text().replace("12:00:00Z", "12:00:00+00:00"), "issued_at: "),
        (a_statement().text().replace("-01-31T12:00:00Z", "-1-31T12:00:00Z"), "issued_at: "),
        (a_statement().text().replace('"2026-01-31T12:00:00Z"', "1769860800"), "issued_at: "),
        (a_statement().text().replace('"v":1', '"v":1,"more":1'), "more: Extra inputs"),
    ],
)
def test_what_is_no_statement_is_refused(text, why):
    with pytest.raises(Rejected) as refused:
        parse_statement(text)
    assert why in str(refused.value)


@given(st.text(max_size=300))
def test_any_text_is_a_statement_or_refused(text):
    with pytest.raises(Rejected):
        parse_statement(text)


@given(st.data())
def test_a_statement_with_any_character_changed_is_refused(data):
    signed = BOB.says()
    place = data.draw(st.integers(0, len(signed.statement) - 1))
    character = data.draw(st.characters().filter(lambda it: it != signed.statement[place]))
    changed = signed.statement[:place] + character + signed.statement[place + 1 :]
    with pytest.raises(Rejected, match="not one of this text"):
        verified(signed.model_copy(update={"statement": changed}))


def test_canonical_json_is_that_of_rfc_8785():
    assert canonical({"b": 1.0, "a": "é\n", "c": [True, None]}) == '{"a":"é\\n","b":1,"c":[true,null]}'
    assert subject_of({"a": 1}) == hash_of('{"a":1}')
    with pytest.raises(InputError, match="canonical JSON"):
        canonical({"n": 2**60})
    with pytest.raises(InputError, match="canonical JSON"):
        canonical({"n": float("nan")})


def test_an_agent_acts_for_its_person():
    assert person_behind("agent:claude for bob") == "bob"
    assert person_behind(" bob ") == "bob"
    assert same_person("agent:claude for BOB", "bob")
    assert not same_person("bob", "carol")
