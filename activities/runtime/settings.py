"""What a worker's environment variables say; everything about services is in the catalog instead."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runbook_model.errors import InputError


class Settings(BaseModel):
    """A worker's settings."""

    # Rust's expressions cannot look ahead.
    model_config = ConfigDict(frozen=True, regex_engine="python-re")

    catalog: Path = Field(alias="RUNBOOK_CATALOG", default=Path("catalog.toml"))
    """The catalog file."""
    build_id: str | None = Field(alias="RUNBOOK_BUILD_ID", default=None, min_length=1)
    """Version of this worker, to which packages of procedures add theirs; runs stay on the version that they started on. None:
    versions are not distinguished."""
    threads: int = Field(alias="RUNBOOK_THREADS", default=20, ge=1, le=500)
    """Reads and changes that may run at once, for each environment."""
    waits: int = Field(alias="RUNBOOK_WAITS", default=2000, ge=1)
    """Long waits that may be open at once; they hold no thread."""
    health: str | None = Field(alias="RUNBOOK_HEALTH", default=None)
    """HOST:PORT where ``/healthz`` and ``/readyz`` are answered."""
    metrics: str | None = Field(alias="RUNBOOK_METRICS", default=None)
    """HOST:PORT where Prometheus finds this worker's figures."""
    grace_seconds: float = Field(alias="RUNBOOK_GRACE_SECONDS", default=25.0, ge=0)
    """How long a shutdown waits for a change that is under way: longer than a change may take."""
    plan_store: Path = Field(
        alias="RUNBOOK_PLAN_STORE",
        default_factory=lambda: Path(tempfile.gettempdir()) / f"runbook-plans-{os.getuid()}",
    )
    """Folder of this worker's own for Terraform's plan files, which hold the state; a plan that is lost is made again."""
    lock_seconds: float = Field(alias="RUNBOOK_TERRAFORM_LOCK_SECONDS", default=900.0, ge=0)
    """How long somebody else's lock on Terraform's state is waited for."""
    signers: Path | None = Field(alias="RUNBOOK_SIGNERS", default=None)
    """OpenSSH allowed_signers file: whose signed decisions count. It is read again each time."""
    standing: Path | None = Field(alias="RUNBOOK_STANDING", default=None)
    """Folder of standing statements: what people agreed to beforehand, for automatic changes where decisions are signed."""
    templates: Path | None = Field(alias="RUNBOOK_TEMPLATES", default=None)
    """Folder of a team's own templates for what people are sent, in front of the built-in ones."""
    slack_api: str = Field(
        alias="RUNBOOK_SLACK_API", default="https://slack.com/api/", pattern=r"^https?://[^\s@]+$"
    )
    """Slack's Web API; GovSlack has another."""
    reviews: str | None = Field(
        alias="RUNBOOK_REVIEWS",
        default=None,
        pattern=r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/\S*)?|(?!\w+://).+)$",
    )
    """Where reviews are written to: a folder, or ``s3://bucket/prefix``. None: nowhere by themselves."""


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        InputError: a variable has a value that cannot be used.
    """
    try:
        return Settings.model_validate(dict(os.environ))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{first['loc'][0]} = {first['input']}: {first['msg']}") from None
