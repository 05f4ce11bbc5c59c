"""What `runbook catalog discover` read of an account: values of the catalog, each with where it was found."""

from __future__ import annotations

from runbook_model.fact import Fact
from runbook_model.releases.release import ServiceState

Part = str | int | dict[str, str]
Value = str | int | dict[str, Part] | None
"""A value of the catalog; None where not even a proposal is known."""


class Line(Fact):
    """A key of the catalog, its value and the comment next to it."""

    key: str
    value: Value = None
    comment: str
    found: bool = True
    """False: it is only proposed, and stays commented out until a person has decided."""


class Unread(Fact):
    """A question that AWS did not answer."""

    action: str
    """As IAM names it: ``ecs:ListServices``."""
    why: str
    denied: bool = False

    @property
    def comment(self) -> str:
        """What stands in place of a value."""
        return f"not read: allow {self.action}" if self.denied else f"not read: {self.why}"


class FoundService(Fact):
    """A service of a cluster."""

    name: str
    state: ServiceState | None = None
    """None where it could be listed and not be described."""
    comment: str
    """What it is: tasks, family, image."""
    lines: tuple[Line, ...] = ()


class FoundCluster(Fact):
    """A cluster and its services."""

    name: str
    comment: str
    services: tuple[FoundService, ...] = ()
    empty: bool = False
    """Whether it was listed and has no service: such as those that AWS Batch makes."""


class FoundConvention(Fact):
    """A convention whose request counter has series."""

    preset: str
    metric: str
    series: tuple[dict[str, str], ...] = ()
    """The labels that name a service, as each of them is found."""


class FoundPrometheus(Fact):
    """A Prometheus, as far as it answered."""

    url: str
    signed: bool = False
    """Whether it is one of AWS, whose requests are signed."""
    why_not: str | None = None
    """Why it was not read; None where it was."""
    conventions: tuple[FoundConvention, ...] = ()
    release_label: str | None = None
    """The label that holds ``family:revision``, where one does."""


class Discovered(Fact):
    """Everything that was read."""

    region: str
    caller: str
    """Who read it, and of which account."""
    clusters: tuple[FoundCluster, ...]
    prometheus: FoundPrometheus | None = None
    """The one that a person named."""
    workspaces: tuple[str, ...] | Unread = ()
    """Those of Amazon Managed Prometheus, where nobody named one."""
    unread: tuple[Unread, ...] = ()


class NotDiscovered(Fact):
    """Why nothing could be read at all."""

    error: str
    fix: str | None = None
