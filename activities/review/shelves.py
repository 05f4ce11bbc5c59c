"""Where reviews are kept: a folder, or a bucket of S3. Writing one again writes the same bytes to the same place."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from activities.review.markdown import page
from runbook_model.errors import UnreachableError

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients
    from activities.review.model import Review

S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^\s]*?))?/?")
_NO_NAME = re.compile(r"[^a-z0-9-]")


class Shelf(Protocol):
    """A place that keeps files by their names."""

    def keep(self, files: Mapping[str, str]) -> tuple[str, ...]:
        """Write files, whole or not at all each; returns where they are.

        Raises:
            OutsideError: they could not be written.
        """


class Folder:
    """A folder of the worker's machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, files: Mapping[str, str]) -> tuple[str, ...]:
        """Write files into the folder."""
        return tuple(self._write(name, text) for name, text in files.items())

    def _write(self, name: str, text: str) -> str:
        path = self._root / name
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise UnreachableError(
                f"could not write {path}: {error.strerror}", fix="correct RUNBOOK_REVIEWS"
            ) from error
        return str(path)


class Bucket:
    """A bucket of S3."""

    def __init__(self, clients: AwsClients, bucket: str, prefix: str) -> None:
        self._clients = clients
        self._bucket = bucket
        self._prefix = prefix

    def keep(self, files: Mapping[str, str]) -> tuple[str, ...]:
        """Put files into the bucket."""
        return tuple(self._put(name, text) for name, text in files.items())

    def _put(self, name: str, text: str) -> str:
        key = f"{self._prefix}/{name}" if self._prefix else name
        kind = "application/json" if name.endswith(".json") else "text/markdown; charset=utf-8"
        with self._clients.naming_errors(f"write the review to s3://{self._bucket}"):
            self._clients.s3().put_object(Bucket=self._bucket, Key=key, Body=text.encode(), ContentType=kind)
        return f"s3://{self._bucket}/{key}"


def shelf_at(place: str | None, clients: AwsClients) -> Shelf | None:
    """Open the shelf that ``RUNBOOK_REVIEWS`` names, if it names one."""
    if not place:
        return None
    found = S3.fullmatch(place)
    if found:
        return Bucket(clients, found["bucket"], found["prefix"] or "")
    return Folder(Path(place))


def files_of(review: Review) -> dict[str, str]:
    """Name a review's files: by target, by when it started, and by its first run, so that no two ever meet."""
    first = review.sources[0]
    folder = "/".join(
        _NO_NAME.sub("-", name)[:63] or "unknown" for name in (review.environment, review.service)
    )
    name = f"{folder}/{review.timeline[0].at:%Y-%m-%dT%H%M%SZ}-{first.run[:8]}"
    return {f"{name}.md": page(review), f"{name}.json": review.to_json()}
