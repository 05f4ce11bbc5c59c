"""The actions on task definitions."""

from __future__ import annotations

import re
import time

from sandbox.ecs.errors import client_error, invalid
from sandbox.ecs.model import TaskDefinition
from sandbox.ecs.names import Fields, last_part
from sandbox.ecs.paging import page
from sandbox.ecs.registration import registered_fields
from sandbox.ecs.store import Store
from sandbox.ecs.tagging import read_tags
from sandbox.ecs.wire import tag_list, task_definition_fields

_FAMILY = re.compile(r"[A-Za-z0-9_-]{1,255}")


class TaskDefinitionActions:
    """Register, deregister, delete, describe and list task definitions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def register(self, parameters: Fields) -> Fields:
        """Register the next revision of a family."""
        family = parameters["family"]
        if not _FAMILY.fullmatch(family):
            raise client_error("Family contains invalid characters or has more than 255 of them.")
        tags = read_tags(parameters.get("tags"))
        fields = registered_fields(parameters, self._store.names)
        revision = self._store.revisions_used.get(family, 0) + 1
        self._store.revisions_used[family] = revision
        arn = self._store.names.task_definition(family, revision)
        definition = TaskDefinition(family, revision, arn, fields, tags, time.time())
        self._store.families.setdefault(family, []).append(definition)
        return {"taskDefinition": task_definition_fields(definition), "tags": tag_list(tags)}

    def describe(self, parameters: Fields) -> Fields:
        """Describe a revision, INACTIVE ones too; a family alone means its latest ACTIVE revision."""
        definition = self._store.task_definition(parameters["taskDefinition"])
        if definition is None:
            raise client_error("Unable to describe task definition.")
        answer: Fields = {"taskDefinition": task_definition_fields(definition)}
        if "TAGS" in parameters.get("include", ()):
            answer["tags"] = tag_list(definition.tags)
        return answer

    def deregister(self, parameters: Fields) -> Fields:
        """Make a revision INACTIVE; what runs on it continues, and its tags stay."""
        definition = self._exact(parameters["taskDefinition"])
        if definition is None:
            raise client_error("The specified task definition does not exist.")
        if definition.status == "ACTIVE":
            definition.status = "INACTIVE"
            definition.deregistered_at = time.time()
        return {"taskDefinition": task_definition_fields(definition)}

    def _exact(self, name: str) -> TaskDefinition | None:
        if ":" not in last_part(name):
            raise client_error("Invalid revision number. Number: null")
        return self._store.task_definition(name)

    def delete(self, parameters: Fields) -> Fields:
        """Begin to delete INACTIVE revisions."""
        deleted, failures = [], []
        names = parameters["taskDefinitions"]
        if not 1 <= len(names) <= 10:
            raise invalid("Between 1 and 10 task definitions can be deleted at once.")
        for name in names:
            definition = self._exact(name)
            if definition is None:
                failures.append({"arn": name, "reason": "The specified task definition does not exist."})
            elif definition.status == "ACTIVE":
                reason = "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
                failures.append({"arn": definition.arn, "reason": reason})
            else:
                definition.status = "DELETE_IN_PROGRESS"
                definition.delete_requested_at = definition.delete_requested_at or time.time()
                deleted.append(task_definition_fields(definition))
        return {"taskDefinitions": deleted, "failures": failures}

    def list(self, parameters: Fields) -> Fields:
        """List revisions of one status, ordered by family and revision."""
        family, status = parameters.get("familyPrefix"), parameters.get("status", "ACTIVE")
        found = [
            item
            for name in sorted(self._store.families)
            if family is None or name == family
            for item in self._store.families[name]
            if item.status == status
        ]
        if parameters.get("sort") == "DESC":
            found.reverse()
        return page([item.arn for item in found], parameters, "taskDefinitionArns")

    def list_families(self, parameters: Fields) -> Fields:
        """List families; an INACTIVE family has no ACTIVE revision."""
        prefix, status = parameters.get("familyPrefix", ""), parameters.get("status", "ACTIVE")
        found = []
        for family in sorted(self._store.families):
            active = any(item.status == "ACTIVE" for item in self._store.families[family])
            if family.startswith(prefix) and (status == "ALL" or active == (status == "ACTIVE")):
                found.append(family)
        return page(found, parameters, "families")
