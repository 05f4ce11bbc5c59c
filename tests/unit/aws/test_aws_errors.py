import dataclasses
from datetime import timedelta

import pytest
from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError
from temporalio.exceptions import ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.aws.errors import (
    BROKEN,
    CONCURRENT,
    DENIED,
    SEEN_WITHIN,
    STALE_CREDENTIALS,
    THROTTLED,
    aws_errors,
)
from runbook_model.errors import (
    AccessDeniedError,
    BugError,
    BusyError,
    CredentialsError,
    MissingKeyError,
    NotFoundError,
    NotYetError,
    OutsideError,
    RejectedError,
    RunbookError,
    TamperedError,
    ThrottledError,
    UnreachableError,
)
from workflows.decisions.endings import fix_of

DOING = "update the service shop"
URL = "http://ecs.test"


def answered(code: str, message: str = "why", status: int = 400) -> botocore.ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return botocore.ClientError(answer, "UpdateService")


def named(error: Exception) -> OutsideError:
    with pytest.raises(OutsideError) as raised, aws_errors(DOING):
        raise error
    assert raised.value.__cause__ is error
    assert str(raised.value).startswith(f"could not {DOING}: ")
    return raised.value


@pytest.mark.parametrize(
    ("error", "kind", "retryable", "may_have_landed"),
    [
        *[(answered(code), AccessDeniedError, False, False) for code in sorted(DENIED)],
        *[(answered(code), CredentialsError, True, False) for code in sorted(STALE_CREDENTIALS)],
        *[(answered(code), ThrottledError, True, False) for code in sorted(THROTTLED)],
        *[(answered(code), BusyError, True, False) for code in sorted(CONCURRENT)],
        *[(answered(code), UnreachableError, True, True) for code in sorted(BROKEN)],
        (
            answered(
                "ClientException", "Too many concurrent attempts to create a new revision of the family."
            ),
            BusyError,
            True,
            False,
        ),
        (answered("Unheard", status=429), ThrottledError, True, False),
        (answered("ObjectNotFoundException"), NotFoundError, False, False),
        (answered("DBInstanceNotFoundFault"), NotFoundError, False, False),
        (answered("ServiceNotFoundException"), NotFoundError, False, False),
        (answered("ClusterNotFoundException"), NotFoundError, False, False),
        (answered("InvalidParameterException"), RejectedError, False, False),
        (answered("ServiceNotActiveException"), RejectedError, False, False),
        (answered("ServerException", status=500), UnreachableError, True, True),
        (answered("", status=503), UnreachableError, True, True),
        (botocore.NoCredentialsError(), CredentialsError, True, False),
        (botocore.PartialCredentialsError(provider="env", cred_var="x"), CredentialsError, True, False),
        (botocore.TokenRetrievalError(provider="sso", error_msg="expired"), CredentialsError, True, False),
        (botocore.UnauthorizedSSOTokenError(), CredentialsError, True, False),
        (botocore.ProfileNotFound(profile="prod"), CredentialsError, True, False),
        (botocore.ConfigParseError(path="~/.aws/config"), CredentialsError, True, False),
        (botocore.InvalidRegionError(region_name="eu west"), CredentialsError, True, False),
        (ResponseParserError("no XML"), UnreachableError, True, True),
        (botocore.ReadTimeoutError(endpoint_url=URL), UnreachableError, True, True),
        (botocore.ConnectionClosedError(endpoint_url=URL), UnreachableError, True, True),
        (botocore.ConnectTimeoutError(endpoint_url=URL), UnreachableError, True, False),
        (botocore.EndpointConnectionError(endpoint_url=URL), UnreachableError, True, False),
        (botocore.ParamValidationError(report="cluster"), RejectedError, False, False),
        (botocore.NoRegionError(), RejectedError, False, False),
    ],
    ids=str,
)
def test_every_error_has_its_name_and_says_whether_the_call_may_have_landed(
    error, kind, retryable, may_have_landed
):
    translated = named(error)
    assert type(translated) is kind
    assert (translated.retryable, translated.may_have_landed) == (retryable, may_have_landed)


@pytest.mark.parametrize(
    ("message", "permission"),
    [
        ("User: arn:x is not authorized to perform: iam:PassRole on resource: y", "allow iam:PassRole for"),
        ("no", "allow UpdateService for"),
    ],
)
def test_a_missing_permission_is_named_with_the_fix(message, permission):
    assert f"{permission} the worker's role" in str(named(answered("AccessDeniedException", message)))


@pytest.mark.parametrize(
    ("operation", "kind"), [("RegisterScalableTarget", RejectedError), ("ListTasks", ThrottledError)]
)
def test_a_limit_of_autoscaling_is_a_quota_and_one_of_others_a_rate(operation, kind):
    error = botocore.ClientError({"Error": {"Code": "LimitExceededException", "Message": "why"}}, operation)
    assert type(named(error)) is kind


@pytest.mark.parametrize("message", ["TaskDefinition not found.", "Unable to describe task definition."])
def test_a_task_definition_that_is_not_seen_yet_is_looked_for_again_a_few_times(message):
    environment = ActivityEnvironment()

    def at(attempt):
        environment.info = dataclasses.replace(environment.info, attempt=attempt)
        return environment.run(named, answered("ClientException", message))

    assert type(at(1)) is NotFoundError
    assert [at(attempt).retryable for attempt in (1, SEEN_WITHIN - 1, SEEN_WITHIN)] == [True, True, False]
    assert not named(answered("ClientException", message)).retryable


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("ServiceNotFoundException", "check ecs_service in the catalog"),
        ("ClusterNotFoundException", "check cluster and region of the environment in the catalog"),
        ("ServiceNotActiveException", "create it again"),
        ("BlockedException", "ask AWS Support"),
    ],
)
def test_what_is_final_says_its_fix(code, fix):
    error = named(answered(code))
    assert not error.retryable
    assert fix in (error.fix or "")


def test_stale_credentials_say_that_the_step_continues_once_they_are_renewed():
    assert str(named(answered("ExpiredTokenException"))).endswith(
        "renew the worker's AWS credentials and it continues"
    )


def test_other_errors_pass_through_untouched():
    with pytest.raises(KeyError), aws_errors(DOING):
        raise KeyError("service")


def every_error(kind: type[RunbookError] = RunbookError):
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in every_error(below))]


SAID_OTHERWISE = {BugError, MissingKeyError, NotYetError, TamperedError}
"""Errors that find words of their own; their own tests hold them."""


@pytest.mark.parametrize("kind", [item for item in every_error() if item not in SAID_OTHERWISE])
def test_temporal_gets_the_name_the_words_and_whether_to_try_again(kind):
    error = kind("in one line").to_application_error()
    assert (error.type, error.message) == (kind.__name__, "in one line")
    assert error.non_retryable is not kind.retryable
    assert error.details[0] is False
    assert fix_of(error) == kind("in one line").fix


def test_being_throttled_is_no_news_and_credentials_are_given_time():
    assert ThrottledError("slow").to_application_error().category is ApplicationErrorCategory.BENIGN
    assert CredentialsError("old").to_application_error().next_retry_delay == timedelta(seconds=15)
