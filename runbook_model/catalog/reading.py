"""Reading the catalog's file: TOML in, the catalog or everything that is wrong with it out."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ValidationError

from runbook_model.catalog.catalog import Catalog
from runbook_model.catalog.fields import Policy
from runbook_model.catalog.problems import describe, strays, users_in_addresses
from runbook_model.catalog.target import Target
from runbook_model.errors import CatalogError


def parse_catalog(text: str, source: str) -> Catalog:
    """Read a catalog from TOML.

    Raises:
        CatalogError: with every problem found, each a line of file, key, value and fix.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{source}: not TOML: {error}") from None
    except RecursionError:
        raise CatalogError(
            f"{source}: is nested too deeply for a catalog; remove brackets or braces"
        ) from None
    with_users = list(users_in_addresses(found, source))
    try:
        catalog = Catalog.model_validate(found, extra="forbid")
    except ValidationError as error:
        keys = tuple(line.partition(" = ")[0] + " = " for line in with_users)
        others = (line for line in describe(error, source, _keys()) if not (keys and line.startswith(keys)))
        problems = [*with_users, *others]
        # While a part is wrong, the parts are not compared with each other.
        problems += [line for line in strays(found, source) if line not in problems]
        raise CatalogError(*problems) from None
    if with_users:
        raise CatalogError(*with_users)
    return catalog


def load_catalog(path: Path) -> Catalog:
    """Read the catalog file.

    Raises:
        CatalogError: it cannot be read, or is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors write a mark first
    except OSError as error:
        raise CatalogError(f"{path}: cannot read the catalog: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CatalogError(
            f"{path}: not TOML: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None
    return _parsed(text, str(path))


@lru_cache(maxsize=4)
def _parsed(text: str, source: str) -> Catalog:
    """Read a text once: workers ask for the catalog before each activity."""
    return parse_catalog(text, source)


def _keys() -> set[str]:
    """Return every key that a catalog may have somewhere."""
    models: list[type[BaseModel]] = [Target, *Policy.__subclasses__()]
    return {name for model in models for name in model.model_fields}
