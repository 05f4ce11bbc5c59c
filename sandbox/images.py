"""The registry that the tasks' images come from: which exist, and their digests."""

from __future__ import annotations

import hashlib
import re

from sandbox.names import SERVICE
from sandbox.tasks import ImageNotFoundError

_TAGGED = re.compile(rf"{SERVICE}:(?P<version>v?\d+(\.\d+)*([.+-][0-9A-Za-z]+)*)")
_PINNED = re.compile(rf"{SERVICE}(:[\w.+-]+)?@(?P<digest>sha256:[0-9a-f]{{64}})")


def digest_of(version: str) -> str:
    """Return the digest of a version's image: the same on every machine and in every sandbox."""
    return "sha256:" + hashlib.sha256(f"{SERVICE}:{version}".encode()).hexdigest()


class ImageRegistry:
    """Every tag that is a version number exists; a digest, with or without a tag, exists once its version was pulled by tag."""

    def __init__(self) -> None:
        self._version_of: dict[str, str] = {}

    def pull(self, image: str) -> str:
        """Return the version inside an image.

        Raises:
            ImageNotFoundError: there is no such image.
        """
        if tagged := _TAGGED.fullmatch(image):
            version = tagged["version"]
            self._version_of[digest_of(version)] = version
            return version
        pinned = _PINNED.fullmatch(image)
        if pinned and pinned["digest"] in self._version_of:
            return self._version_of[pinned["digest"]]
        raise ImageNotFoundError(f"{image}: not found")
