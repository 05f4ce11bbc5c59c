"""An account that its incident's next run can be started with, however much came: it has to fit into one payload. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from runbook_model.bounds import cut_text, size_of
from runbook_model.incident.account import Account

ACCOUNT_BYTES = 7 * 256 * 1024
"""Below the 2 MiB of a payload, with room for what encryption adds."""
ALERT_BYTES = 60
"""Of a text of an alert, where there are very many."""
FEW = 20


def fit(account: Account) -> Account:
    """Return the account, where it is too large without what people need least."""
    steps: Iterator[Callable[[Account], None]] = iter(
        (
            _few_messages,
            partial(_shorten, firing=False),
            partial(_shorten, firing=True),
            _few_decisions,
            _no_labels,
        )
    )
    while size_of(account) > ACCOUNT_BYTES and (shorten := next(steps, None)):
        shorten(account)
    return account


def _few_messages(account: Account) -> None:
    """Leave the newest messages for each channel; each says all that is known."""
    for outbox in account.outbox.values():
        kept = outbox.waiting[-2:]
        outbox.lost += len(outbox.waiting) - len(kept)
        outbox.waiting = kept


def _shorten(account: Account, *, firing: bool) -> None:
    for fingerprint, alert in account.alerts.kept.items():
        if alert.firing is firing:
            update = {
                "words": cut_text(alert.words, ALERT_BYTES),
                "impact": alert.impact and cut_text(alert.impact, ALERT_BYTES),
                "problem": alert.problem and cut_text(alert.problem, ALERT_BYTES),
            }
            short = alert.model_copy(update=update | ({"labels": {}} if alert.placed or not firing else {}))
            account.alerts.kept[fingerprint] = short


def _no_labels(account: Account) -> None:
    """Drop labels that rows of the matrix might ask for: what is placed later is placed by its name alone."""
    for fingerprint, alert in account.alerts.kept.items():
        account.alerts.kept[fingerprint] = alert.model_copy(update={"labels": {}})


def _few_decisions(account: Account) -> None:
    account.decisions = account.decisions[-FEW:]
    account.rejected = account.rejected[-FEW:]
