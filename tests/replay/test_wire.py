"""What histories carry by name stays: fields, types, signals, options, values."""

from __future__ import annotations

import json

from tests.replay.wire import WIRE, differences, wire


def test_every_name_that_histories_carry_is_the_one_that_is_kept():
    found = list(differences(json.loads(WIRE.read_text()), wire()))
    assert not found, "\n".join(
        [*found, "What is gone breaks runs that are open; what is new: python -m tests.replay.wire"]
    )


def test_a_renamed_field_is_reported_by_its_name():
    kept = {"models": {"Change": ["action", "undone"]}, "activities": ["measure"]}
    now = {"models": {"Change": ["action", "reverted"]}, "activities": ["measure"]}
    assert list(differences(kept, now)) == ["new:  models.Change.reverted", "gone: models.Change.undone"]
