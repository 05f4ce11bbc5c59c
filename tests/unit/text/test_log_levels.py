"""Levels as loggers write them."""

import pytest

from activities.measuring.logs import is_error

ERRORS = {
    "zap": '{"level":"error","ts":1.5,"caller":"a.go:1","msg":"dial tcp: connection refused"}',
    "zerolog": '{"level":"fatal","message":"no config"}',
    "slog": '{"time":"2026-03-01T03:00:00Z","level":"ERROR","msg":"x"}',
    "slog text": 'time=2026-03-01T03:00:00Z level=ERROR msg="x"',
    "logrus": 'time="2026-03-01T03:00:00Z" level=error msg="dial tcp"',
    "logfmt": "ts=2026-03-01 lvl=crit msg=x",
    "pino": '{"level":50,"time":1772334000,"pid":1,"msg":"x"}',
    "bunyan": '{"name":"x","level": 60,"msg":"x","v":0}',
    "Google Cloud": '{"severity":"CRITICAL","message":"x"}',
    "ECS of Elastic": '{"@timestamp":"x","log.level":"error","message":"x"}',
    "ECS of Elastic, nested": '{"log":{"level":"ERROR"},"message":"x"}',
    "python-json-logger": '{"levelname": "ERROR", "message": "x"}',
    "winston": '{"level":"error","message":"x"}',
    "Serilog": '{"@t":"x","level":"Fatal"}',
    "a prefix of the platform": 'app-1  | {"level":"error","msg":"x"}',
    "JSON that was cut off": '{"level":"error","msg":"xxxxxxxx',
    "Python": "2026-03-01 03:00:00,123 ERROR app x",
    "uvicorn": "ERROR:    Exception in ASGI application",
    "Java": "2026-03-01 03:00:00.123 ERROR 1 --- [main] c.s.App : x",
    "nginx": "2026/03/01 03:00:00 [error] 7#7: *1 connect() failed (111: Connection refused)",
    "nginx, critical": "2026/03/01 03:00:00 [crit] 7#7: x",
    "Apache": "[Sun Mar 01 03:00:00 2026] [core:error] x",
    "PostgreSQL": "2026-03-01 03:00:00 UTC [1] FATAL:  too many connections",
    "Go panics": "panic: runtime error: invalid memory address or nil pointer dereference",
    "Go panics in the middle": "goroutine 1: panic: x",
    "Go ends": "fatal error: all goroutines are asleep - deadlock!",
    "Python raises": "Traceback (most recent call last):",
    "Python's last line": "psycopg.OperationalError: connection refused",
    "Node": "Error: connect ECONNREFUSED 127.0.0.1:5432",
    "Java raises": "java.lang.IllegalStateException: x",
    "Rust": "thread 'main' panicked: error: x",
    "loguru": "2026-03-01 03:00:00.123 | ERROR    | app:f:1 - x",
    "Ruby": "E, [2026-03-01T03:00:00 #1] ERROR -- : x",
}

FINE = {
    "JSON": '{"level":"info","msg":"no ERROR so far"}',
    "JSON, a warning": '{"level":"warn","error":"timeout, trying again"}',
    "pino": '{"level":30,"msg":"50,"}',
    "pino, a warning": '{"level":40,"msg":"x"}',
    "logfmt": 'level=info msg="took 50, error=nil"',
    "plain": "INFO started, no errors so far",
    "plain with a time": "2026-03-01 03:00:00,123 INFO retry after error: timeout",
    "words": "0 errors, errors=0",
    "access log": '10.0.0.1 - - "GET /error HTTP/1.1" 200 50,',
    "a level inside a level": r'{"level":"info","msg":"{\"level\":\"error\"}"}',
}


@pytest.mark.parametrize("line", ERRORS.values(), ids=ERRORS.keys())
def test_a_line_with_the_level_of_an_error_is_one(line):
    assert is_error(line)


@pytest.mark.parametrize("line", FINE.values(), ids=FINE.keys())
def test_a_line_of_another_level_is_none(line):
    assert not is_error(line)
