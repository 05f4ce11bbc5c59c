"""What people and other runs send to a run: each message has one judge, whether it comes as an update or as a signal.

The sender of an update gets the answer. Nobody waits for the answer to a signal: what it brings in vain is kept in
``rejected``. The same decision again is "already recorded". No payload can stop a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from temporalio import workflow

from activities.runtime.converter import Unreadable
from runbook_model.bounds import size_of
from runbook_model.errors import InvalidMessage, Rejected
from runbook_model.fact import first_problem
from runbook_model.messages import Answer
from runbook_model.reports import Rejection
from runbook_model.text.plain_text import one_line
from runbook_model.text.redaction import excerpt

M = TypeVar("M")
Model = TypeVar("Model", bound=BaseModel)

SEEN_KEPT = 200
MOST = 1000
"""Messages of one name that a run takes: each may cost events, and a procedure's history cannot be continued."""
MOST_OF_ONE = 200
"""Of these, messages of one person."""
LARGEST = 256 * 1024
"""Bytes of one message, where its model does not bound it anyway."""
ALREADY = Answer(detail="already recorded", already=True)


class Book(Protocol):
    """Where an inbox writes down what it has to remember."""

    seen: tuple[str, ...]
    """Ids of the newest decisions that were taken."""

    def keep_rejected(self, rejection: Rejection) -> None:
        """Keep what could not be used, to be shown."""


@dataclass(frozen=True)
class Rule(Generic[M]):
    """What is done with one kind of message."""

    read: Callable[[object], M]
    """Reads a payload, or raises why it does not fit."""
    take: Callable[[M], Any]
    """Does what it says, and returns the answer."""
    judge: Callable[[M], M] | None = None
    """Returns the message as it is to be taken, or raises why it cannot be used now; changes nothing."""
    verify: Callable[[M], Awaitable[M]] | None = None
    """Returns the message once its signature is verified, or raises why it does not count; then it is judged again."""
    known: Callable[[M], bool] | None = None
    """Whether it was taken before, where its decision id does not show it."""
    quiet: bool = False
    """Whether ``take`` itself says that something new came: most of what comes is not."""


class Inbox:
    """Takes messages by name."""

    def __init__(
        self, book: Book, heard: Callable[[], None] | None = None, endless: Collection[str] = ()
    ) -> None:
        """Open an inbox.

        Args:
            book: where it writes down what it has to remember.
            heard: called whenever something came.
            endless: messages of which any number is taken: they cost no event, or the run continues as a new one in time.
        """
        self._endless = frozenset(endless)
        self._book = book
        self._heard = heard
        self._rules: dict[str, Rule[Any]] = {}
        self._counted: Counter[tuple[str, ...]] = Counter()

    def on(
        self,
        name: str,
        read: Callable[[object], M],
        take: Callable[[M], Any],
        *,
        judge: Callable[[M], M] | None = None,
        verify: Callable[[M], Awaitable[M]] | None = None,
        known: Callable[[M], bool] | None = None,
        quiet: bool = False,
    ) -> None:
        """Say what is done with the messages of a name."""
        self._rules[name] = Rule(read, take, judge, verify, known, quiet)

    async def signal(self, name: str, received: object) -> None:
        """Take what a signal brought, or keep it among the rejected."""
        try:
            await self._take(name, received)
        except Rejected as error:
            self.reject(name, str(error), received)
        if not self._rules[name].quiet:
            self._note_that_something_came()

    async def update(self, name: str, received: object) -> Any:
        """Take what an update brought; its validator let it in, but the last word is said here, and kept where it is no.

        Raises:
            ApplicationError: as ``check`` does.
        """
        self._note_that_something_came()
        try:
            return await self._take(name, received)
        except Rejected as error:
            self.reject(name, str(error), received)
            raise error.to_application_error() from None

    def check(self, name: str, received: object) -> None:
        """Judge an update before it is accepted; its sender gets the reason.

        Raises:
            ApplicationError: of type ``Rejected``, or ``InvalidMessage`` for a payload that does not fit.
        """
        try:
            self._judge(name, received)
        except Rejected as error:
            raise error.to_application_error() from None

    def reject(self, name: str, why: str, received: object) -> None:
        """Keep what could not be used."""
        rejection = Rejection(
            message=name, why=one_line(why)[:500], received=excerpt(repr(received), 200), at=workflow.now()
        )
        self._book.keep_rejected(rejection)
        self._note_that_something_came()

    def has_seen(self, decision_id: str | None) -> bool:
        """Whether a decision was taken before."""
        return decision_id is not None and decision_id in self._book.seen

    async def _take(self, name: str, received: object) -> Any:
        rule = self._rules[name]
        message, known = self._judge(name, received)
        if not known:
            self._counted.update(key for key, _ in self._shares(name, message))
        if rule.verify and not known:
            verified = await rule.verify(message)
            message, known = self._judge_again(rule, verified)
        if known:
            return ALREADY
        answer = rule.take(message)
        if decision_id := getattr(message, "decision_id", None):
            self._book.seen = (*self._book.seen, decision_id)[-SEEN_KEPT:]
        return answer

    def _judge(self, name: str, received: object) -> tuple[Any, bool]:
        """Return the message as it is to be taken, and whether it was before."""
        rule = self._rules[name]
        message, known = self._judge_again(rule, rule.read(received))
        if not known:
            self._refuse_flood(name, message)
        return message, known

    def _judge_again(self, rule: Rule[Any], message: Any) -> tuple[Any, bool]:
        if self.has_seen(getattr(message, "decision_id", None)) or (rule.known and rule.known(message)):
            return message, True
        return rule.judge(message) if rule.judge else message, False

    def _refuse_flood(self, name: str, message: object) -> None:
        """Refuse what comes too often, whoever sends it.

        Raises:
            Rejected: so much of it was taken already.
        """
        for key, most in self._shares(name, message):
            if self._counted[key] >= most:
                raise Rejected(f"{most} of {key[-1]} were taken already: this one is not used")

    def _shares(self, name: str, message: object) -> list[tuple[tuple[str, ...], int]]:
        """Return what a message counts for; an abort has a share of its own, which nothing else uses up."""
        if name in self._endless:
            return []
        by = getattr(message, "by", None)
        kind = "aborts" if name == "abort" else "messages"
        return [(("name", name), MOST), *([(("sender", f"{by}'s {kind}"), MOST_OF_ONE)] if by else [])]

    def _note_that_something_came(self) -> None:
        if self._heard:
            self._heard()


def reading(model: type[Model], largest: int = LARGEST) -> Callable[[object], Model]:
    """Return what reads payloads as one kind of message, of no more than so many bytes."""
    return lambda received: parse(model, received, largest)


def parse(model: type[Model], received: object, largest: int = LARGEST) -> Model:
    """Read a payload as a message.

    Raises:
        InvalidMessage: it is not one, and the reason names the field; or it is too large.
    """
    if received is None:
        wanted = ", ".join(name for name, field in model.model_fields.items() if field.is_required())
        raise InvalidMessage("came without a payload", fix=f"give {wanted}")
    if isinstance(received, Unreadable):
        raise InvalidMessage("the payload cannot be decoded", fix="send JSON")
    try:
        message = model.model_validate(received)
    except ValidationError as error:
        raise InvalidMessage(first_problem(error)) from None
    if size_of(message) > largest:
        raise InvalidMessage(f"is larger than {largest // 1024} KiB")
    return message
