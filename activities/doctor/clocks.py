"""The worker's clock against others': rates, soaks and bakes are reckoned with times from both. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from activities.doctor.looking import WrongError
from runbook_model.fact import Fact

MOST = timedelta(seconds=5)
MEND = "let NTP set the clock of the worker's host: timedatectl set-ntp true"


class Glance(Fact):
    """What another's clock said between two moments of ours."""

    whose: str
    said: datetime
    before: datetime
    after: datetime

    @property
    def off(self) -> timedelta:
        """How far ours is ahead, at least; behind is negative. Their answer may have been under way for a while."""
        if self.said < self.before:
            return self.before - self.said
        return self.after - self.said if self.said > self.after else timedelta(0)


def judge_clock(*glances: Glance) -> str:
    """Say that our clock agrees with the others.

    Raises:
        WrongError: it does not agree with one of them.
    """
    for one in glances:
        if abs(one.off) > MOST:
            side = "ahead of" if one.off > timedelta(0) else "behind"
            seconds = abs(one.off).total_seconds()
            raise WrongError(f"the worker's clock is {seconds:.0f} s {side} {one.whose}", MEND)
    return f"within {MOST.seconds} s of {' and '.join(one.whose for one in glances)}"
