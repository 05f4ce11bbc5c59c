import hashlib

import pytest

from sandbox.images import ImageRegistry, digest_of
from sandbox.tasks import ImageNotFoundError


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
