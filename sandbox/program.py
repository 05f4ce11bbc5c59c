"""What runs in a container."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.forking import ForkServer


@dataclass(frozen=True)
class Program:
    """What runs in a container."""

    argv: Sequence[str]
    environment: Mapping[str, str] | None = None
    """What it gets besides the container's own environment; None: all of ours."""
    user: str | None = None
    folder: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    forked_by: ForkServer | None = None
    """Starts it sooner than its ``argv`` would; it is the same program."""

    @property
    def dies_with_us_by(self) -> signal.Signals:
        """The signal that it gets when the sandbox dies: one with children of its own ends them."""
        return signal.SIGKILL if self.stop_signal is signal.SIGTERM else self.stop_signal
