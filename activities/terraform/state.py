"""Which state a module works on: where its backend keeps it, under which key, in which workspace."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

IDENTITY = (
    "bucket", "key", "prefix", "workspace_key_prefix", "path", "address", "hostname", "organization", "workspaces",
    "storage_account_name", "container_name", "secret_suffix", "namespace", "conn_str", "schema_name",
)  # fmt: skip
"""What tells states of one kind of backend apart; the rest is how it is reached, and by whom."""
PASSWORD = re.compile(r"(?<=://)[^@/]*@")


def state_of(directory: Path, environment: Mapping[str, str]) -> str:
    """Return the hash that names a module's state, once it is initialised.

    Args:
        directory: the module's.
        environment: what the program is run with.
    """
    data = directory / environment.get("TF_DATA_DIR", ".terraform")
    kind, config = _backend(data)
    if kind == "local":
        config = {"path": str((directory / str(config.get("path") or "terraform.tfstate")).resolve())}
    found = {name: config[name] for name in IDENTITY if config.get(name)}
    essence = json.dumps([kind, found, _workspace(data, environment)], sort_keys=True)
    return hashlib.sha256(PASSWORD.sub("", essence).encode()).hexdigest()[:32]


def _backend(data: Path) -> tuple[str, dict[str, Any]]:
    """Read what ``init`` wrote down; a module without a backend keeps its state next to itself."""
    try:
        written = json.loads((data / "terraform.tfstate").read_bytes())["backend"]
        return str(written["type"]), dict(written["config"])
    except (OSError, ValueError, KeyError, TypeError):
        return "local", {}


def _workspace(data: Path, environment: Mapping[str, str]) -> str:
    if chosen := environment.get("TF_WORKSPACE"):
        return chosen
    try:
        return (data / "environment").read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"
