"""The clients of everything that measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.prometheus.client import Stores
from activities.prometheus.scrape import Scraper

if TYPE_CHECKING:
    import httpx

    from activities.aws.clients import AwsClients
    from activities.docker.engine import Engine


class Sources:
    """Where measurements come from; each worker has one."""

    def __init__(
        self, aws: AwsClients, engine: Engine, http: httpx.AsyncClient, scraper: Scraper | None = None
    ) -> None:
        self.aws = aws
        self.engine = engine
        self.http = http
        self.stores = Stores(http, aws)
        self.scraper = scraper or Scraper(http)
