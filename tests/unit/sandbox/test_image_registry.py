import hashlib

import pytest

from sandbox.machine.tasks import ImageNotFoundError, ImageRegistry, digest_of


def test_a_versions_digest_is_the_hash_of_its_tag():
    assert digest_of("1.2.3") == "sha256:" + hashlib.sha256(b"ai-processor:1.2.3").hexdigest()


@pytest.mark.parametrize("version", ["1.0.0", "v2.1", "1.1.0-rc1", "7"])
def test_every_version_number_exists(version):
    assert ImageRegistry().pull(f"ai-processor:{version}") == version


def test_an_image_can_be_pulled_by_its_digest_once_its_version_is_known():
    registry = ImageRegistry()
    pinned = f"ai-processor@{digest_of('1.0.0')}"
    with pytest.raises(ImageNotFoundError, match="not found"):
        registry.pull(pinned)
    registry.pull("ai-processor:1.0.0")
    assert registry.pull(pinned) == "1.0.0"
    assert registry.pull(f"ai-processor:1.1.0@{digest_of('1.0.0')}") == "1.0.0"


@pytest.mark.parametrize(
    "image",
    ["ai-processor", "ai-processor:", "ai-processor:missing", "nginx:1.0.0", "ai-processor@sha256:12"],
)
def test_anything_else_cannot_be_pulled(image):
    with pytest.raises(ImageNotFoundError, match="not found"):
        ImageRegistry().pull(image)


class TestATagThatWasMoved:
    def test_brings_the_other_versions_image(self):
        registry = ImageRegistry()
        registry.move("latest", "1.0.0")
        assert (registry.pull("ai-processor:latest"), registry.pull("ai-processor")) == ("1.0.0", "1.0.0")
        registry.move("latest", "1.1.0")
        assert registry.pull("ai-processor:latest") == "1.1.0"
        assert registry.digest_of("ai-processor:latest") == digest_of("1.1.0")

    def test_may_be_a_version_number(self):
        registry = ImageRegistry()
        registry.move("1.0.0", "1.0.1")
        assert registry.pull("ai-processor:1.0.0") == "1.0.1"

    def test_brings_what_it_pointed_to_earlier_by_that_digest(self):
        registry = ImageRegistry()
        registry.move("latest", "1.0.0")
        earlier = registry.digest_of("ai-processor:latest")
        registry.move("latest", "1.1.0")
        assert registry.pull("ai-processor:latest", earlier) == "1.0.0"

    @pytest.mark.parametrize(("tag", "version"), [("", "1.0.0"), ("latest", "newest"), ("a b", "1.0.0")])
    def test_is_a_tag_and_points_to_a_version(self, tag, version):
        with pytest.raises(ValueError, match="want"):
            ImageRegistry().move(tag, version)
