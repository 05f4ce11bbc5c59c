"""Play stories and write their recordings again: ``python -m tests.stories.record [STORY …]``, all of them by default.

Run by hand, when a difference is wanted; read the diff before it is committed. A story that does not end as asked is not kept.
"""

import sys

from tests.stories.play import played
from tests.stories.recording import RECORDED, keep


def main(names):
    """Record each story; returns how many were not kept."""
    refused = 0
    for name in names or sorted(file.stem for file in RECORDED.glob("*.json")):
        ended, found, wrong = played(name)
        good = ended.returncode == 0 and not wrong
        if good:
            keep(name, found)
        else:
            refused += 1
        why = "; ".join([*wrong, ended.stderr])
        sys.stderr.write(f"{name}: {'kept' if good else f'NOT kept: {why}'}\n")
    return refused


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
