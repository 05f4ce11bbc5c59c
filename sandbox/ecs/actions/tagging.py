"""Tags: what AWS allows in them, and the actions on any resource by its ARN."""

from __future__ import annotations

import re

from sandbox.ecs.answers.services import tag_list
from sandbox.ecs.names import ApiError, Fields, invalid, last_part
from sandbox.ecs.store import Store

MOST_TAGS = 50
_ALLOWED = re.compile(r"[\w\s_.:/=+\-@]*")


def read_tags(given: list[Fields] | None, already: dict[str, str] | None = None) -> dict[str, str]:
    """Return tags as a mapping, added to those that are there.

    Raises:
        ApiError: ``InvalidParameterException``: a tag that AWS does not allow, or too many.
    """
    tags = dict(already or {})
    for tag in given or []:
        key, value = tag.get("key", ""), tag.get("value", "")
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise invalid("A tag's key has 1 to 128 characters and its value at most 256.")
        if key.lower().startswith("aws:"):
            raise invalid("Tag keys that start with aws: are reserved for AWS.")
        if not _ALLOWED.fullmatch(key) or not _ALLOWED.fullmatch(value):
            raise invalid(
                "Some of the tags contain invalid characters. Valid characters: UTF-8 letters, spaces, numbers and _ . / = + - : @."
            )
        tags[key] = value
    if len(tags) > MOST_TAGS:
        raise invalid(f"The maximum number of tags of a resource is {MOST_TAGS}.")
    return tags


class TagActions:
    """TagResource, UntagResource and ListTagsForResource."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def tag(self, parameters: Fields) -> Fields:
        """Add tags to a resource."""
        found = self._tags_of(parameters["resourceArn"])
        found.update(read_tags(parameters["tags"], found))
        return {}

    def untag(self, parameters: Fields) -> Fields:
        """Remove tags; a key that is not there is no error."""
        found = self._tags_of(parameters["resourceArn"])
        for key in parameters["tagKeys"]:
            found.pop(key, None)
        return {}

    def list(self, parameters: Fields) -> Fields:
        """Return a resource's tags."""
        return {"tags": tag_list(self._tags_of(parameters["resourceArn"]))}

    def _tags_of(self, arn: str) -> dict[str, str]:
        """Return the tags of a resource, to change in place."""
        prefix = self._store.names.arn("")
        if not arn.startswith(prefix):
            raise invalid(f"Invalid arn syntax or a resource of another account or region: {arn}")
        kind, *path = arn.removeprefix(prefix).split("/")
        found: dict[str, str] | None = None
        if kind == "cluster":
            return self._store.cluster(arn).tags
        if kind == "service" and len(path) == 2:
            service = self._store.cluster(path[0]).services.get(path[1])
            found = service.tags if service and service.status != "INACTIVE" else None
        elif kind == "task" and len(path) == 2:
            task = self._store.cluster(path[0]).tasks.get(path[1])
            found = task.tags if task else None
        elif kind == "task-definition" and ":" in last_part(arn):
            definition = self._store.task_definition(arn)
            found = definition.tags if definition else None
        if found is None:
            raise ApiError("InvalidParameterException", "The specified resource is not found: " + arn)
        return found
