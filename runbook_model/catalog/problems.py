"""What is wrong with a catalog, said so that it can be fixed: file, key, value and fix."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from runbook_model.catalog.accounts import account_of, ecs_name
from runbook_model.catalog.policies import Environment
from runbook_model.catalog.service_policies import Service
from runbook_model.text.redaction import HIDDEN, redact
from runbook_model.text.sentences import did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


USER_IN_ADDRESS = (
    "holds a user or password, which would go into history; take it out, and use ssh_key_file or a variable"
)

_USER = re.compile(r"(?i)\b(?P<scheme>[a-z][a-z0-9+.-]{1,30})://(?P<user>[^\s/?#\"'<>]*)@")

_WITHOUT_USER = rf"\g<scheme>://{HIDDEN}@"

NO_ENVIRONMENT = "no [environments.{}]: add it, or correct the name"


def describe(error: ValidationError, source: str, keys: Collection[str]) -> list[str]:
    """List every problem of a catalog, a line each.

    Args:
        error: what pydantic found.
        source: the file.
        keys: those that a catalog may have somewhere, for mistyped ones.
    """
    return [line for detail in error.errors(include_url=False) for line in _lines(detail, source, keys)]


def strays(found: dict[str, Any], source: str) -> Iterator[str]:
    """Name the services' tables that belong to no environment, in a catalog that may be wrong in any way."""
    environments, services = found.get("environments"), found.get("services")
    for name, service in services.items() if isinstance(services, dict) else ():
        tables = service.get("environments", service) if isinstance(service, dict) else None
        for environment, placement in tables.items() if isinstance(tables, dict) else ():
            if isinstance(placement, dict) and environment not in (environments or ()):
                yield f"{source}: services.{name}.{environment}: {NO_ENVIRONMENT.format(environment)}"


def users_in_addresses(found: Any, source: str, key: str = "") -> Iterator[str]:
    """Name every address that holds a user or password, in a catalog that may be wrong in any way.

    Over SSH a user alone is a name that everybody has: ``ssh://git@host``.
    """
    if isinstance(found, dict):
        for name, value in found.items():
            yield from users_in_addresses(value, source, f"{key}.{name}" if key else str(name))
    elif isinstance(found, list):
        for number, value in enumerate(found):
            yield from users_in_addresses(value, source, f"{key}.{number}")
    elif isinstance(found, str):
        users = [
            match["user"]
            for match in _USER.finditer(found)
            if ":" in match["user"] or not match["scheme"].endswith("ssh")
        ]
        if users:
            yield f"{source}: {key} = {_shown(_USER.sub(_WITHOUT_USER, found))}: {USER_IN_ADDRESS}"


def _lines(detail: ErrorDetails, source: str, keys: Collection[str]) -> list[str]:
    place = [
        str(part)
        for part in detail["loc"]
        if part not in {"environments", "[key]"} or part == detail["loc"][0]
    ]
    key = ".".join(place)
    shown = redact(
        _shown(detail["input"])
    )  # a secret in the wrong place must not get into history by the error
    subject = " = ".join(part for part in (key, shown) if part)
    return [
        ": ".join(part for part in (source, subject, fix) if part) for fix in _fix(detail, keys).splitlines()
    ]


def _shown(value: Any) -> str:
    if isinstance(value, dict | list | tuple | BaseModel):
        return ""
    return json.dumps(value, default=str, ensure_ascii=False)


def _fix(detail: ErrorDetails, keys: Collection[str]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return f"unknown key{did_you_mean(str(detail['loc'][-1]), keys)}; remove it or correct its name"
        case "missing":
            return "is missing; add it"
        case "string_pattern_mismatch":
            return f"does not match {detail.get('ctx', {}).get('pattern')}; correct the spelling"
        case "value_error":
            return str(detail["msg"]).removeprefix("Value error, ")
        case _:
            said = detail["msg"].replace("datetime.timedelta(0)", "0s").replace("valid tuple", "list")
            return f"{said[0].lower()}{said[1:]}"


def twins(environments: Mapping[str, Environment], services: Mapping[str, Service]) -> Iterator[str]:
    """Name each target that is the same ECS service as one before it, across environments too.

    Each would be locked on its own, and one's rollback would stop the other's.
    """
    first: dict[tuple[object, ...], str] = {}
    for name, service in services.items():
        for environment, placement in service.environments.items():
            where = environments.get(environment)
            if where is None or where.platform != "ecs" or not placement.ecs_service:
                continue
            key = f"services.{name}.{environment}"
            account = account_of(environment, where.region, where.assume_role).quota
            place = (account, ecs_name(where.cluster).name, ecs_name(placement.ecs_service).name)
            other = first.setdefault(place, key)
            if other != key:
                yield (
                    f'{key}.ecs_service = "{placement.ecs_service}": is the same ECS service '
                    f"as {other}: keep one of the two names, or correct region, cluster or ecs_service"
                )
