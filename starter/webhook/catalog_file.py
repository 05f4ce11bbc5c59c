"""The catalog as the webhook reads it: an edit counts for the next call, and a mistake in it loses no alert."""

from __future__ import annotations

import logging
from pathlib import Path

from runbook_model.catalog.catalog import Catalog, load_catalog
from runbook_model.catalog.incident_policy import matrix_of
from runbook_model.catalog.policies import AlertRule
from runbook_model.errors import CatalogError

_log = logging.getLogger(__name__)


class CatalogFile:
    """A catalog that is read again when its file has changed; while that is wrong, what was read last counts."""

    def __init__(self, path: Path, packaged: tuple[AlertRule, ...] = ()) -> None:
        """Read it for the first time.

        Args:
            path: the file.
            packaged: rows of the alert matrix that installed packages bring, for a catalog that has none.

        Raises:
            CatalogError: it cannot be read, or is wrong.
        """
        self._path = path
        self._packaged = packaged
        self._seen = self._stamp()
        self._catalog = self._load()

    def current(self) -> Catalog:
        """Return the catalog as it is now, or as it last was right."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._catalog = self._load()
            except CatalogError as error:
                _log.warning(
                    "the catalog is invalid; its last valid version is used", extra={"error": str(error)}
                )
            else:
                _log.info("the catalog has changed")
        return self._catalog

    def _load(self) -> Catalog:
        catalog = load_catalog(self._path)
        return catalog.model_copy(update={"alerts": matrix_of(catalog, self._packaged)})

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
