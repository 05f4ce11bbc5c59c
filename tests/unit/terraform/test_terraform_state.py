"""A module's state has one name, whoever reaches it and however."""

from __future__ import annotations

import json

import pytest

from activities.terraform.state import state_of

BUCKET = {"bucket": "states", "key": "shop.tfstate", "region": "us-east-1", "access_key": "one"}


@pytest.fixture
def module(tmp_path):
    return initialised(tmp_path / "shop", BUCKET)


def initialised(folder, config, kind="s3"):
    (folder / ".terraform").mkdir(parents=True)
    written = {"version": 3, "backend": {"type": kind, "config": config, "hash": 1}}
    (folder / ".terraform" / "terraform.tfstate").write_text(json.dumps(written))
    return folder


def test_two_checkouts_of_one_backend_and_key_are_one_state(module, tmp_path):
    other = initialised(tmp_path / "other", BUCKET | {"access_key": "two"})
    assert state_of(module, {}) == state_of(other, {})


@pytest.mark.parametrize("other", [{"key": "other.tfstate"}, {"bucket": "others"}])
def test_another_key_or_bucket_is_another_state(module, tmp_path, other):
    assert state_of(module, {}) != state_of(initialised(tmp_path / "other", BUCKET | other), {})


def test_each_workspace_has_a_state_of_its_own_however_it_was_chosen(module):
    default, prod = state_of(module, {}), state_of(module, {"TF_WORKSPACE": "prod"})
    assert default == state_of(module, {"TF_WORKSPACE": "default"}) != prod
    (module / ".terraform" / "environment").write_text("prod")
    assert state_of(module, {}) == prod


def test_without_a_backend_the_folder_is_the_state(tmp_path):
    (tmp_path / "a").mkdir()
    assert state_of(tmp_path / "a", {}) == state_of(tmp_path / "b" / ".." / "a", {})
    assert state_of(tmp_path / "a", {}) != state_of(tmp_path / "b", {})


def test_a_password_in_an_address_does_not_count(tmp_path):
    first, second = (
        initialised(tmp_path / word, {"conn_str": f"postgres://tf:{word}@db/states"}, "pg")
        for word in ("one", "two")
    )
    assert state_of(first, {}) == state_of(second, {})
