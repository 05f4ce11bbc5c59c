"""What must never be seen is hidden in every form, at every place and in every quoting, and the rest can be read."""

import json
from html import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runbook_model.text.redaction import HIDDEN, LOOKED_AT, excerpt, is_secret_name, redact

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
    ("hash sha256:56f4f00ebd7f1b3aeb6176ba822e6674b551a953cc749a917092f0425677155d0", "56f4f00ebd7f1b3a"),
    ("vault token hvs." + "CAESIJ0aBc9xYz01234", "CAESIJ0aBc9xYz01234"),
    ("vault token s." + "1234567890abcdefghij1234", "1234567890abcdefghij1234"),
    ("twilio SK" + "0123456789abcdef" * 2, "0123456789abcdef"),
    ("session FwoGZXIvYXdz" + "//ab+c/de" * 9 + "==", "ab+c/de"),
    ("session IQoJb3JpZ2luX2Vj" + "//ab+c/de" * 9 + "==", "ab+c/de"),
    ("sendgrid SG." + "abcdefghijk.lmnopqrstuv", "lmnopqrstuv"),
    ("mysql -u root -phunter2 shop", "hunter2"),
    ("sshpass -p hunter2 ssh host", "hunter2"),
    ("docker login -u ann -p hunter2 registry", "hunter2"),
    ("machine host login ann password hunter2", "hunter2"),
    ("CONFIG SET requirepass hunter2", "hunter2"),
    ("redis-cli -h cache -a hunter2 ping", "hunter2"),
    ("password: |\n  hunter2\n  hunter2\nnext: line", "hunter2"),
    ("CREATE ROLE a PASSWORD $x$hunter2 and$x$ LOGIN", "hunter2"),
    ("password='ab'\"'\"'hunter2 and' rest", "hunter2"),
    ('Digest: Authorization: Digest username="ann", response="hunter2", uri="/x"', "hunter2"),
    (r"\u003cpassword\u003ehunter2\u003c/password\u003e", "hunter2"),
    (r"https:\/\/ann:hunter2@host\/x", "hunter2"),
    ("password%3Dhunter2%26a%3Db", "hunter2"),
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
        'FATAL: password authentication failed for user "ann"',
        "basic authentication failed, 3 tokens left, bypass off",
        "http://prometheus:9090/graph?mail=ann@example.com",
        "git@github.com:org/shop.git and https://github.com/org/shop",
        "sudo -u postgres psql -p 5432 shop",
        '{"name": "LOG_LEVEL", "value": "debug"}',
        "- name: DB_PASSWORD\n  valueFrom: arn:aws:ssm:x:1:parameter/a\n- name: LOG_LEVEL\n  value: debug",
        "trace 0123456789abcdef0123456789abcdef",
        "ai-processor:latest runs sha256:56f4f00ebd7f1b3aeb6176ba822e6674b551a953cc749a917092f0425677155d.",
        "pull ai-processor@sha256:56f4f00ebd7f1b3aeb6176ba822e6674b551a953cc749a917092f0425677155d: not found",
    ],
)
def test_what_is_no_secret_stays_readable(line):
    assert redact(line) == line


def test_a_secret_that_a_cut_would_split_is_hidden_first():
    assert "s3cr" not in excerpt("x" * 90 + " password=s3cr3t and more words", 105)


HOSTILE = [
    "a." * 2000, "token" * 800, "x://:" * 800, "a=b;" * 1000, "\\" * 4000, "'" * 4000, "x:" * 2000,
    "password= " * 400, "password:\n" + " " * 3900, "password" + " " * 3900, 'password="' * 400, "password=a," * 360,
    'password="' + "\\" * 3900, 'password="' + '""' * 1900, "password=[" + "[" * 3900, "password=" + "&a" * 1900,
    'password="a"' * 300, "password=" + "\"a'b" * 900, "<password>" * 400, "<password " * 400, "cookie: a=1;" * 300,
    "cookie:" + " ;" * 1900, "authorization: a" + ",b=c" * 900, "-u a" * 1000, "mysql -x " * 400, 'value="' * 600,
    "name=password " * 280, "value=x,name" * 330, "https://" + "a@" * 1900, "-----BEGIN PRIVATE KEY-----" * 140,
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_does_not_keep_a_worker_busy(hostile):
    for _ in range(20):  # a second at most; before names were taken as a whole, minutes
        redact(hostile)


def test_no_more_than_the_first_characters_of_a_line_are_looked_at():
    assert len(redact("a " * LOOKED_AT)) == LOOKED_AT


@pytest.mark.parametrize("name", ["password", "DB_PASS", "dbPass", "X-Api-Key", "webhook_secret", "pw"])
def test_a_name_says_that_its_value_is_a_secret(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["compass", "bypass", "passes", "path", "author", "design", "keyboard"])
def test_a_name_that_only_looks_like_it_says_nothing(name):
    assert not is_secret_name(name)


MARK = "s3cr3t"
"""A secret is some of these with other characters between them, so that no part of it gets through."""
BARE = (
    "pass={}",
    "DB_PASS={}",
    "db.password={}",
    "dbPass: {}",
    "password => {}",
    "user[password]={}",
    "--password {}",
    "--db-password={}",
    "-Dtrust.password={}",
    "X-Api-Key: {}",
    "X-Vault-Token: {}",
    "TWILIO_AUTH_TOKEN={}",
    "AWS_SESSION_TOKEN={}",
    "curl -u ann:{} x",
    "curl -uann:{} x",
    "curl --user ann:{} x",
    "https://{}@host/x",
    "https://ann:{}@host/x",
    "postgres://ann:{}@db:5432/app?a=1",
    "Cookie: a=1; b={}",
    "cookie=a=1; b={}",
    "Set-Cookie: a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/, b={}; Secure",
    "Authorization: Bearer {}",
    "Authorization: Basic {}",
    "authorization=Token {}",
    "/x?a=1&token={}&b=2",
    "<password>{}</password>",
    "<a:dbPassword kind='x'>{}</a:dbPassword>",
    '<entry key="password">{}</entry>',
    '<property name="password" value="{}"/>',
    "name: DB_PASSWORD\nvalue: {}",
    "ParameterKey=DBPassword,ParameterValue={}",
)
QUOTED = (
    "password={}",
    "password: {}",
    '"api_key": {}',
    '"cookie": {}',
    '"Authorization": {}',
    '{{"name":"DB_PASSWORD","value":{}}}',
    '{{"name": "DB_PASSWORD", "type": "text", "value": {}}}',
    '{{"value":{},"name":"DB_PASSWORD"}}',
    '"credentials": {{"user": "ann", "key": {}}}',
    "ALTER ROLE ann PASSWORD {}",
    "CREATE USER ann IDENTIFIED BY {}",
    "mysql --password {} x",
    "curl -u {} x",
    '["--password", {}]',
    'environ["DB_PASSWORD"] = {}',
    "setPassword({})",
)
CUT = tuple(form for form in QUOTED if not form.startswith('{{"value"'))
"""A value that is cut off before its name is anybody's."""
QUOTINGS = {
    "json": json.dumps,
    "json of json": lambda text: json.dumps(json.dumps(text)),
    "python": repr,
    "sql": lambda text: "'" + text.replace("'", "''").replace("\\", "/") + "'",
    "sql with backslashes": lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'",
}
PLACES = {
    "alone": lambda text: text,
    "in a sentence": lambda text: f"before {text} after",
    "on a line": lambda text: f"before\n{text}\nafter",
    "in brackets": lambda text: f"before ({text}) after",
    "in JSON": lambda text: json.dumps({"a": "before", "message": text, "b": "after"}),
    "in JSON in JSON": lambda text: json.dumps(
        {"log": json.dumps({"message": text, "b": "after"}), "c": "before"}
    ),
    "in a log line": lambda text: f"level=before msg={json.dumps(text)} b=after",
    "in XML": lambda text: f"<m>before</m><m>{escape(text)}</m><m>after</m>",
}
places = st.sampled_from(sorted(PLACES))


def secrets(between):
    return st.lists(st.text(between, max_size=3), min_size=1, max_size=3).map(
        lambda texts: MARK + "".join(f"{text}{MARK}" for text in texts)
    )


def check(line, place):
    shown = redact(PLACES[place](line))
    assert MARK not in shown
    assert HIDDEN in shown
    assert place == "alone" or ("before" in shown and "after" in shown)
    assert redact(shown) == shown


@pytest.mark.parametrize("place", sorted(PLACES))
def test_every_form_hides_its_secret_in_every_quoting_at_this_place(place):
    for form in BARE:
        check(form.format(f"{MARK}!$*.{MARK}"), place)
    for form in QUOTED:
        for quoting in QUOTINGS.values():
            prefix = "ann:" if "-u" in form else ""
            check(form.format(quoting(f"{prefix}{MARK} \"'\\,{MARK}")), place)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(BARE), places, secrets("aZ09!$*+.^_~-"))
def test_a_secret_without_quotes_is_hidden_in_every_form_at_every_place(form, place, secret):
    check(form.format(secret), place)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(QUOTED),
    places,
    st.sampled_from(sorted(QUOTINGS)),
    secrets(" aZ09\"'`\\,;:&<>(){}[]=@/%|é"),
)
def test_a_secret_in_quotes_is_hidden_in_every_form_at_every_place(form, place, quoting, secret):
    prefix = "ann:" if "-u" in form else ""
    check(form.format(QUOTINGS[quoting](prefix + secret)), place)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CUT), st.sampled_from(sorted(QUOTINGS)), secrets(" a9\"'\\,;:"), st.integers(0, 40))
def test_a_secret_that_is_cut_off_is_hidden(form, quoting, secret, cut):
    prefix = "ann:" if "-u" in form else ""
    line = form.format(QUOTINGS[quoting](prefix + secret))
    first = line.index(MARK) + len(MARK)
    assert MARK not in redact(line[: first + cut])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
@example("password=\x1b[1m\u202e\u200b\n")
def test_an_excerpt_is_one_line_without_anything_that_a_terminal_obeys(text):
    shown = excerpt(text, 300)
    assert shown == " ".join(shown.split())
    assert not any(sign in shown for sign in "\x1b\u202e\u200b\u2028\x85\x07")


def test_a_secret_is_found_behind_characters_that_nobody_sees():
    assert "hunter2" not in excerpt("pass\u200bword=\x1b[31mhunter2\x1b[0m", 100)
