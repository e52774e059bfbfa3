"""A server on loopback whose first connection has a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.links import Gone, Link, LinkThreads, Listener
from tests.support.tls import Authority

from .conversation import Signal
from .wire import Over, Wire

if TYPE_CHECKING:
    from .conversation import Conversation
    from .model import Plan


class FaultyServer:
    """Serves *conversation* on each connection; the first one follows *plan*."""

    def __init__(self, conversation: Conversation, plan: Plan, authority: Authority) -> None:
        self.authority = authority
        self.plan = plan
        self.signal = Signal()
        self.errors: list[str] = []
        self.asked: set[str] = set()
        """Names of requests, for conversations that answer one differently when it comes again."""
        self.streams: dict[str, int] = {}
        """The streams of the first connection by the names of requests that wait for others."""
        self._conversation = conversation
        self._links = LinkThreads(self._serve)
        self._first: Link | None = None
        self._listener = Listener(self._accept, unix=conversation.is_unix)

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._listener.port

    @property
    def path(self) -> str:
        """The path, if it is a Unix socket."""
        return str(self._listener.unix_path)

    @property
    def connections(self) -> int:
        """How many connections there were."""
        return self._links.opened

    @property
    def open(self) -> int:
        """How many of them are open."""
        return self._links.open

    def stop(self) -> None:
        """Close everything."""
        self._listener.stop()
        self._links.stop()

    def _accept(self, link: Link) -> None:
        self._first = self._first or link
        self._links.start(link)

    def _serve(self, link: Link) -> None:
        wire = Wire(link, self.plan if link is self._first else None)
        try:
            self._conversation.serve(wire, self)
        except (Over, Gone):
            pass
        except Exception as exc:  # noqa: BLE001  (the test shows it)
            self.errors.append(repr(exc))
