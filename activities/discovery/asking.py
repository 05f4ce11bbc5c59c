"""Asks AWS many questions, some at the same time; what it does not answer is remembered, and nothing is asked in vain twice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from runbook_model.catalog.accounts import Account
from runbook_model.discovered import Unread
from runbook_model.errors import AccessDeniedError, CredentialsError, OutsideError

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients

AT_ONCE = 6
"""Questions that are under way at the same time: far below every quota of AWS, and a hundred a second with answers in 60 ms."""
IAM_NAMES = {"elbv2": "elasticloadbalancing", "amp": "aps"}
"""What IAM calls a service, where boto3 has another name."""

A = TypeVar("A")
B = TypeVar("B")


class Asking:
    """AWS, asked with patience: whoever throttles is asked again by the client itself."""

    def __init__(self, clients: AwsClients, account: Account) -> None:
        self.region = account.region
        self._clients = clients
        self._account = account
        self._unread: dict[tuple[str, str], Unread] = {}
        self._lock = Lock()

    @property
    def unread(self) -> tuple[Unread, ...]:
        """What AWS did not answer, each action once."""
        return tuple({unread.action: unread for unread in self._unread.values()}.values())

    def pages(self, service: str, operation: str, *, of: str = "", **asked: Any) -> list[Any] | Unread:
        """Ask one question, to its last page.

        Args:
            service: boto3's name of it.
            operation: boto3's name of the method.
            of: the cluster, where permissions are given by cluster: what is denied for one may be allowed for the next.
            asked: its parameters.

        Raises:
            CredentialsError: nobody would be answered.
        """
        client = self._clients.reading(service, self._account)
        action = f"{IAM_NAMES.get(service, service)}:{client.meta.method_to_api_mapping[operation]}"
        if denied := self._unread.get((action, of)):
            return denied
        try:
            with self._clients.naming_errors(f"ask for {action}"):
                if client.can_paginate(operation):
                    return list(client.get_paginator(operation).paginate(**asked))
                return [getattr(client, operation)(**asked)]
        except CredentialsError:
            raise
        except OutsideError as error:
            return self._remember(
                Unread(action=action, why=error.message, denied=isinstance(error, AccessDeniedError)), of
            )

    def listed(
        self, service: str, operation: str, key: str, *, of: str = "", **asked: Any
    ) -> list[Any] | Unread:
        """Ask one question whose pages each have a list.

        Raises:
            CredentialsError: nobody would be answered.
        """
        pages = self.pages(service, operation, of=of, **asked)
        return pages if isinstance(pages, Unread) else [item for page in pages for item in page.get(key, [])]

    def each(self, what: str, function: Callable[[A], B], items: Iterable[A]) -> list[B]:
        """Ask a question of each item, some at the same time, and show how far it is."""
        wanted = list(items)
        found: list[B] = []
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for answer in threads.map(function, wanted):
                found.append(answer)
                show_progress(f"{what}: {len(found)} of {len(wanted)}")
        show_progress("")
        return found

    def _remember(self, unread: Unread, of: str) -> Unread:
        if unread.denied:  # whatever else it was may be better with the next question
            with self._lock:
                return self._unread.setdefault((unread.action, of), unread)
        with self._lock:
            self._unread.setdefault((unread.action, unread.why), unread)
        return unread


def batches(items: Sequence[A], size: int) -> list[Sequence[A]]:
    """Cut a list into what one call takes."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def show_progress(text: str) -> None:
    """Write over the last line of a terminal; elsewhere nobody waits for it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
