"""What a row and a cell of the table are: phases of a conversation, faults, and outcomes."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .conversation import Conversation


class Fault(enum.Enum):
    """What the peer does; the value is the heading of its column."""

    CLOSE = "closes"
    RESET = "resets"
    HALF_CLOSE = "half-closes"
    STALL = "stalls"
    STALL_TOTAL = "stalls, with `total`"
    GARBAGE = "sends garbage"
    DRIP = "sends byte by byte"
    SPLIT = "splits its bytes"
    JOIN = "joins its bytes"
    ANSWER_EARLY = "answers unasked"
    ANSWER_TWICE = "answers twice"
    ALERT = "sends a TLS alert"
    CERTIFICATE = "shows another certificate"
    WRONG_KEY = "has another key"
    CANCEL = "resets the stream"
    GO_AWAY = "goes away"
    REFUSE = "refuses"
    BREAK = "breaks the protocol"
    TRICKLE = "gives room in drips"
    NARROW = "takes room back"


#: Faults that do not depend on a position.
WHOLE: Final = frozenset(
    {
        Fault.DRIP,
        Fault.JOIN,
        Fault.ANSWER_EARLY,
        Fault.ANSWER_TWICE,
        Fault.CERTIFICATE,
        Fault.WRONG_KEY,
        Fault.CANCEL,
        Fault.GO_AWAY,
        Fault.REFUSE,
    }
)


class Returned(enum.Enum):
    """What a call returns in spite of a fault."""

    ANSWER = "the answer"
    """The whole answer to this request."""
    BEGINNING = "what had come"
    """The beginning of the answer: nothing tells that there would have been more."""


ANSWER, BEGINNING = Returned


@dataclass(frozen=True)
class Together:
    """What each of several exchanges sees that share a connection.

    :param own: of the exchange that has the fault
    :param others: of the others, in the order in which they were begun; one stands for all
    """

    own: type[BaseException] | Returned
    others: tuple[type[BaseException] | Returned, ...]

    @property
    def all(self) -> set[type[BaseException] | Returned]:
        """The different ones."""
        return {self.own, *self.others}


#: A text is what the program finds in objects, where nothing is raised.
Outcome = type[BaseException] | Returned | Together | str


def of_all(
    own: type[BaseException] | Returned, *others: type[BaseException] | Returned
) -> Together | type[BaseException] | Returned:
    """Return the shortest outcome that says what each of several exchanges sees."""
    if {own} == set(others):
        return own
    return Together(own, others[:1] if len(set(others)) == 1 else others)


@dataclass(frozen=True)
class Cell:
    """What the program sees.

    :param outcomes: the exact classes of exceptions, or what is returned; more than one if the
        position of the fault decides
    :param why: the reason, where it is not obvious
    """

    outcomes: tuple[Outcome, ...]
    why: str = ""


#: Why a close can look like a reset.
UNREAD: Final = (
    "A system that closes a connection with unread bytes resets it. What of this is seen first "
    "decides."
)


def sees(*outcomes: Outcome, why: str = "") -> Cell:
    """Return a cell with these *outcomes*."""
    return Cell(outcomes, why)


@dataclass(frozen=True, eq=False)
class Phase:
    """A row of the table: a part of what a good server says, in which a fault happens.

    :param name: the heading of the row; unique in its group
    :param part: the name by which the conversation says these bytes
    :param cells: the outcome of each fault that is possible here
    :param first: how many bytes of the part are sent before the first position
    :param last: the last position; negative ones count from the end of the part
    :param limit: which limit of time ends a stall
    :param every: the positions, where they cannot be computed, as of a TLS handshake; negative
        ones count from its end
    :param few: some of these
    """

    group: str
    name: str
    conversation: Conversation
    part: str
    cells: Mapping[Fault, Cell]
    first: int = 0
    last: int = -1
    limit: str = "sock_read"
    every: Sequence[int] = ()
    few: Sequence[int] = ()

    @property
    def title(self) -> str:
        """A name that is unique in the table."""
        return f"{self.group}: {self.name}"

    def positions(self, fault: Fault, *, every: bool) -> list[int]:
        """Return after how many bytes of the part *fault* happens.

        :param every: all of them, instead of the first and the last two and the middle of each
            element
        """
        if fault in WHOLE:
            return [self.first]
        if fault is Fault.ALERT:
            records = self.conversation.records(self.part)
            return list(range(records if every else min(records, 2)))
        if self.every:
            return list(self.every if every else self.few)
        sizes = self.conversation.sizes(self.part, fault)
        total = sum(sizes)
        last = total + self.last if self.last < 0 else self.last
        if every:
            return list(range(self.first, last + 1))
        ends = list(accumulate(sizes))
        middles = {end - (size + 1) // 2 for end, size in zip(ends, sizes, strict=True)}
        chosen = {self.first, self.first + 1, last - 1, last} | middles
        return sorted(place for place in chosen if self.first <= place <= last)


@dataclass
class Plan:
    """One fault of one connection.

    :param name: of the request whose answer the fault is in
    :param garbage: what is sent in place of the rest
    """

    fault: Fault
    part: str
    position: int
    name: str
    garbage: bytes = b""
    said: int = 0
    """How many bytes of the part have been sent."""
    has_happened: bool = False
    is_over: bool = False
    answer_again: Callable[[], bytes] | None = field(default=None, repr=False)


def by_phase(phases: Sequence[Phase]) -> list[tuple[Phase, Fault]]:
    """Return every cell of *phases*, in the order of the table."""
    return [(phase, fault) for phase in phases for fault in Fault if fault in phase.cells]
