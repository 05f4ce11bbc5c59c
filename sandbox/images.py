"""The registry that the tasks' images come from: which exist, and what their tags point to."""

from __future__ import annotations

import hashlib
import re

from sandbox.names import SERVICE
from sandbox.tasks import ImageNotFoundError

_VERSION = re.compile(r"v?\d+(\.\d+)*([.+-][0-9A-Za-z]+)*")
_TAG = re.compile(r"\w[\w.-]{0,127}")
_PINNED = re.compile(rf"{SERVICE}(:[\w.+-]+)?@(?P<digest>sha256:[0-9a-f]{{64}})")


def digest_of(version: str) -> str:
    """Return the digest of a version's image: the same on every machine and in every sandbox."""
    return _hash(f"{SERVICE}:{version}")


def _hash(name: str) -> str:
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


class ImageRegistry:
    """Every tag that is a version number exists, and every tag that was moved to one; a digest once a tag brought it."""

    def __init__(self) -> None:
        self._moved: dict[str, str] = {}
        self._version_of: dict[str, str] = {}

    @property
    def moved(self) -> dict[str, str]:
        """The version that each moved tag points to."""
        return dict(self._moved)

    def move(self, tag: str, version: str) -> None:
        """Have a tag of the service point to a version's image from now on; tasks that run keep theirs.

        Raises:
            ValueError: it is no tag, or no version.
        """
        if not _TAG.fullmatch(tag) or not _VERSION.fullmatch(version):
            raise ValueError('want {"tag": "latest", "version": "1.1.0"}')
        self._moved[tag] = version

    def digest_of(self, image: str) -> str:
        """Return the digest of an image of any repository; that of a tag is another one once the tag was moved."""
        if "@" in image:
            return image.partition("@")[2]
        version = self._version(image)
        if version is None:
            return _hash(image)
        self._version_of[digest_of(version)] = version
        return digest_of(version)

    def pull(self, image: str, digest: str | None = None) -> str:
        """Return the version inside an image.

        Args:
            image: its name.
            digest: what the name was found to point to, perhaps before its tag was moved.

        Raises:
            ImageNotFoundError: there is no such image.
        """
        pinned = _PINNED.fullmatch(image)
        found = self._version_of.get(pinned["digest"] if pinned else digest or self.digest_of(image))
        version = found or self._version(image)
        if version is None:
            raise ImageNotFoundError(f"{image}: not found")
        return version

    def _version(self, image: str) -> str | None:
        """Return the version that a tag of the service points to now; None where there is no such tag."""
        name, _, tag = image.partition(":")
        if name != SERVICE:
            return None
        tag = tag or "latest"
        return self._moved.get(tag) or (tag if _VERSION.fullmatch(tag) else None)
