"""Canonical JSON (RFC 8785), and the hash by which a document is named in what people sign."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from runbook_model.errors import InputError


def canonical(document: Any) -> str:
    """Return the one way to write a JSON document: everybody who writes it gets the same bytes.

    Raises:
        InputError: it holds what JSON cannot hold exactly, such as NaN or an integer beyond 2**53.
    """
    try:
        return rfc8785.dumps(document).decode()
    except rfc8785.CanonicalizationError as error:
        raise InputError(f"cannot be written as canonical JSON: {error}") from None


def hash_of(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def subject_of(document: Any) -> str:
    """Return the hash that names a document.

    Raises:
        InputError: it cannot be written as canonical JSON.
    """
    return hash_of(canonical(document))
