"""Conversations: what a good server says, and how a program calls it."""

from __future__ import annotations

import itertools
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from anyhttp import BaseConnector, ClientResponse, ClientSession, ClientTimeout, TCPConnector
from tests.support.tls import Authority
from tests.support.waiting import until

from .model import Fault, Outcome, Returned

if TYPE_CHECKING:
    from .server import FaultyServer
    from .wire import Wire

#: How long a call may take that no limit of its own ends, in seconds.
LONG: Final = 20.0

_numbers = itertools.count(1)


def new_name() -> str:
    """Return a name that no request had before."""
    return f"r{next(_numbers):06d}"


@dataclass
class Program:
    """One call of a program, and what it has got.

    :param name: of the request; each has another one, and no answer belongs to two of them
    :param reads_pieces: read the body piece by piece, instead of as a whole
    """

    session: ClientSession
    server: FaultyServer
    name: str
    timeout: ClientTimeout
    short: float = LONG
    """What a limit is that is no part of *timeout*, in a stall."""
    reads_pieces: bool = False
    got: bytearray = field(default_factory=bytearray)
    sees: Outcome = ""
    """What the program has found in objects, if it is not what a good server brings about."""
    is_over: bool = False

    @property
    def url(self) -> str:
        """The URL of the request on the server."""
        return f"http://127.0.0.1:{self.server.port}/{self.name}"

    def another(self) -> Program:
        """Return a call of the same session, with a name of its own and without a short limit."""
        return replace(
            self, name=new_name(), timeout=ClientTimeout(total=LONG), got=bytearray(), is_over=False
        )

    def beside(self, word: str) -> Program:
        """Return a call that is made at the same time, whose name ends with *word*."""
        return replace(self, name=f"{self.name}-{word}", got=bytearray(), is_over=False)

    async def read(self, response: ClientResponse) -> None:
        """Read the body of *response*."""
        if self.reads_pieces:
            async for piece in response.content.iter_any():
                self.got += piece
        else:
            self.got += await response.read()


class Conversation(ABC):
    """What a server says on each connection, and how a program calls it."""

    #: whether the connections speak HTTP/1.1, so that each reader is tried
    has_readers: bool = True
    #: whether each call has a connection of its own, for whose slot the next call can wait
    has_waiters: bool = False
    #: whether the server listens on a Unix socket, whose path :meth:`connector` gets
    is_unix: bool = False

    @abstractmethod
    def sizes(self, part: str, fault: Fault) -> list[int]:
        """Return the sizes of the elements that *part* has, in bytes.

        Where no bytes are said, they are the numbers of places that the server reaches.
        """

    def records(self, part: str) -> int:
        """Return how many TLS records *part* has."""
        raise NotImplementedError

    @abstractmethod
    def serve(self, wire: Wire, server: FaultyServer) -> None:
        """Serve one connection until it ends, in a thread of its own."""

    @abstractmethod
    async def call(self, program: Program) -> None:
        """Do what the phase is about; what comes of the answer goes to ``program.got``."""

    @abstractmethod
    def content(self, name: str) -> bytes:
        """Return the right answer to the request called *name*."""

    def leaves_nothing(self, outcome: Outcome) -> bool:
        """Whether no connection is left after *outcome*."""
        return not isinstance(outcome, Returned)

    def connector(self, reader: str, authority: Authority, **options: Any) -> BaseConnector:
        """Return a new connector for the calls.

        :param options: further options, if ``has_waiters`` or ``is_unix`` is true
        """
        return TCPConnector(http1=reader, ssl=authority.client, **options)


class Signal:
    """What the program waits for the server to do, while no call runs."""

    def __init__(self) -> None:
        self._go, self._done = threading.Event(), threading.Event()

    async def raise_and_wait(self) -> None:
        """Let the server do it, and wait until it has."""
        self._go.set()
        await until(self._done.is_set, "the server to act between the calls")

    def wait(self) -> None:
        """Wait, in the server's thread, for the program."""
        assert self._go.wait(10), "the program did not come so far"

    def tell(self) -> None:
        """Tell the program that it is done."""
        self._done.set()
