"""Image references and their digests."""

from __future__ import annotations

import hashlib


def digest_of(image: str) -> str:
    """Return the digest that an image has in this sandbox: stable, and one per tag."""
    if "@" in image:
        return image.partition("@")[2]
    return "sha256:" + hashlib.sha256(image.encode()).hexdigest()
