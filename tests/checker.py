"""What the logs of the sandbox say of a run: whether each change was made at most once, and whether somebody's call is among them.

Pure: it takes the entries of ``/_sandbox/calls``, each of which has its sequence number and who made it.
"""

from __future__ import annotations

import json
from collections import defaultdict


def made_twice(calls):
    """Return changes that one activity of one run made more than once: caller, action and the sequence numbers."""
    made = defaultdict(list)
    for call in calls:
        if call["caller"] and not call["error"]:
            made[_change(call)].append(call["sequence"])
    return {change: numbers for change, numbers in made.items() if len(numbers) > 1}


def made_by_nobody(calls):
    """Return the sequence numbers of calls that name no run."""
    return [call["sequence"] for call in calls if call["caller"] is None]


def _change(call):
    caller = call["caller"]
    asked = json.dumps(call["parameters"], sort_keys=True)
    return caller["run"], caller["activity"], call["action"], asked
