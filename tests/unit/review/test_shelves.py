"""Where reviews are kept, and what is read from histories whose payloads are encrypted."""

import json
from pathlib import Path

import pytest
from botocore.stub import Stubber

from activities.aws.clients import AwsClients
from activities.review.activities import Bucket, Folder, files_of, shelf_at
from activities.review.histories import decode
from activities.review.markdown import page
from runbook_model.catalog.accounts import Account
from runbook_model.errors import AccessDeniedError, MissingKeyError, UnreachableError
from tests.sealing import codec, seal
from tests.unit.review.writing import Hand, review_of

REQUEST = {"service": "shop", "environment": "prod", "requested_by": "alice"}


@pytest.fixture
def review():
    run = Hand("remediation/prod/shop", "Rollback", REQUEST, run="0198c8b2-1111").memo(changes=[])
    return review_of(run.end(outcome="recovered", summary="Back.", procedure="rollback"))


def test_files_are_named_by_target_and_time_so_that_no_two_meet(review):
    assert list(files_of(review)) == [
        "prod/shop/2026-03-01T030000Z-0198c8b2.md",
        "prod/shop/2026-03-01T030000Z-0198c8b2.json",
    ]


@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "a/b", "", "Ü"])
def test_a_name_of_somebodys_making_leads_nowhere_else(name, tmp_path):
    hand = Hand("remediation/x", "Rollback", {"service": name, "environment": name})
    places = Folder(tmp_path / "reviews").keep(files_of(review_of(hand)))
    assert all((tmp_path / "reviews") in path.parents for path in tmp_path.rglob("*.md"))
    assert len(places) == 2


def test_a_folder_keeps_both_whole_and_the_same_again_changes_nothing(review, tmp_path):
    shelf = Folder(tmp_path / "reviews")
    first = shelf.keep(files_of(review))
    assert shelf.keep(files_of(review)) == first
    kept = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [str(path) for path in kept] == sorted(first)
    assert kept[1].read_text() == page(review)
    assert json.loads(kept[0].read_text())["outcome"] == "recovered"


def test_a_folder_that_cannot_be_written_is_reported_with_the_fix(review):
    with pytest.raises(
        UnreachableError, match=r"could not write /dev/null/.*: Not a directory; correct RUNBOOK_REVIEWS"
    ):
        Folder(Path("/dev/null/reviews")).keep(files_of(review))


class TestBuckets:
    @pytest.fixture
    def clients(self, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        return AwsClients()

    @pytest.mark.parametrize(
        ("place", "prefix"),
        [
            ("s3://our-incident-reviews", ""),
            ("s3://our-incident-reviews/", ""),
            ("s3://our-incident-reviews/a/b/", "a/b/"),
        ],
    )
    def test_both_are_put_below_the_prefix(self, review, clients, place, prefix):
        files = files_of(review)
        with Stubber(clients.s3()) as stub:
            for name, text in files.items():
                kind = "application/json" if name.endswith(".json") else "text/markdown; charset=utf-8"
                wanted = {
                    "Bucket": "our-incident-reviews",
                    "Key": f"{prefix}{name}",
                    "Body": text.encode(),
                    "ContentType": kind,
                }
                stub.add_response("put_object", {}, wanted)
            places = shelf_at(place, clients).keep(files)
            stub.assert_no_pending_responses()
        assert places[0] == f"s3://our-incident-reviews/{prefix}prod/shop/2026-03-01T030000Z-0198c8b2.md"

    def test_one_is_written_to_by_a_worker_that_called_others_of_aws_before(self, clients):
        clients.ecs(Account(region="us-east-1"))
        clients.ecs(Account(region="eu-west-1"))
        with Stubber(clients.s3()) as stub:
            stub.add_response("put_object", {})
            assert Bucket(clients, "b", "").keep({"x.md": "text"}) == ("s3://b/x.md",)

    def test_a_bucket_that_refuses_is_reported(self, review, clients):
        with Stubber(clients.s3()) as stub:
            stub.add_client_error("put_object", "AccessDenied", http_status_code=403)
            with pytest.raises(AccessDeniedError, match="write the review to s3://our-incident-reviews"):
                Bucket(clients, "our-incident-reviews", "").keep(files_of(review))


def test_without_a_place_there_is_no_shelf():
    assert shelf_at(None, AwsClients()) is None


async def test_a_history_that_is_encrypted_is_read_all_the_same():
    def hand() -> Hand:
        change = {"action": "UpdateService", "before": "a", "after": "b", "detail": None}
        run = Hand("remediation/prod/shop", "Rollback", REQUEST).memo(changes=[change])
        run.act("measure", "Measure", {"x": 1}, {"readings": []}).signal("approve", {"by": "bob"})
        run.act("deploy_release", "Update", {"x": 1}, how="failed", why="AWS said no")
        return run.end(outcome="recovered", summary="Back.", procedure="rollback")

    plain, hidden = hand(), hand()
    assert sum([await seal(event, codec("a")) for event in hidden.events]) > 8
    assert "AWS said no" in page(review_of(plain))
    assert page(review_of(hidden)) != page(review_of(plain))
    with pytest.raises(MissingKeyError, match='encrypted with key "a"'):
        await decode(hidden.events, codec("b"))
    await decode(hidden.events, codec("b", "a"))
    assert page(review_of(hidden)) == page(review_of(plain))
