"""Which target group the next request goes to, by weight: evenly mixed, so that shares are exact."""

from __future__ import annotations

from collections.abc import Mapping


class Weights:
    """A rule's weights by target group; none where a rule forwards to all targets."""

    def __init__(self) -> None:
        self.shares: dict[str, float] = {}
        self._credit: dict[str, float] = {}

    def set(self, shares: Mapping[str, float]) -> None:
        """Take new weights."""
        if self.shares != shares:
            self.shares = dict(shares)
            self._credit = dict.fromkeys(shares, 0.0)

    def next(self) -> str:
        """Return the group of the next request; empty without weights."""
        if not self.shares:
            return ""
        for group, share in self.shares.items():
            self._credit[group] += share
        chosen = max(self._credit, key=lambda group: self._credit[group])
        self._credit[chosen] -= sum(self.shares.values())
        return chosen
