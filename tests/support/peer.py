r"""A scripted peer on loopback: it expects exact bytes and sends exact bytes.

A test describes each connection as a list of steps, and asks the ``script`` fixture for a peer
that plays them::

    peer = await script(
        [(b"GET /a ", [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 0\r\n\r\n"])],
        [(b"GET /b ", CLOSE)],
    )

A step is ``(expected, reply)``, or a reply alone, which is sent without waiting.

===================  ====================================================================
expected             the peer waits for
===================  ====================================================================
``b"GET /a "``       one complete request, head and body, that starts with these bytes
``Head(b"POST /")``  the head of such a request; its body may follow
``Until(b"end")``    bytes of any kind, up to these
``Exact(b"\x05")``   these bytes and no others
``HELLO``            one TLS record that begins a handshake, as bytes: the peer takes no part in it
===================  ====================================================================

``Frame(TEXT, b"a")`` of :mod:`tests.support.websocket` is one masked frame like that.

A reply is bytes or an action, or a list of those.  The peer sends each piece of bytes when the
client has read the previous one, so the client sees the same pieces.

=====================  ==================================================================
action                 the peer
=====================  ==================================================================
``Wait(flag)``         goes on when the test has called ``flag.set()``
``Tell(flag)``         sets the flag: ``await flag.until_set()`` in the test
``Accept()``           accepts the WebSocket handshake that has just come
``SendUnasked(b"x")``  sends bytes of its own accord once the client has read all others
``CLOSE``              ends its bytes in an orderly way (TLS close-notify, FIN)
``CUT``                ends them with FIN alone, also under TLS
``RESET``              closes with RST
``STALL``              reads on but sends nothing more, until the client closes
``DEAF``               reads nothing and sends nothing more, until the client closes
=====================  ==================================================================

Each of the last five can only be the last action.  After the last step, the peer expects the
client to close and to send nothing.  A mistake fails the test at its end: other bytes than
expected, a connection too many or too few, a step that was never reached.
"""

from __future__ import annotations

import enum
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.lowlevel
from yarl import URL

from .links import BadRequest, Gone, Link, Listener, parse_head
from .waiting import until
from .websocket import Accept, CloseWith, Frame, take_frame

if TYPE_CHECKING:
    from .http2_translation import TranslatedLink


class PeerFailed(AssertionError):
    """The client did not follow the script."""


class Flag(threading.Event):
    """An event that a test and the thread of a peer share."""

    async def until_set(self) -> None:
        """Wait, in the event loop, until the flag is set."""
        await until(self.is_set, "the flag to be set")


class End(enum.Enum):
    """How the peer ends a connection."""

    CLOSE = enum.auto()
    CUT = enum.auto()
    RESET = enum.auto()
    STALL = enum.auto()
    DEAF = enum.auto()


CLOSE, CUT, RESET, STALL, DEAF = End


@dataclass(frozen=True)
class Wait:
    flag: threading.Event


@dataclass(frozen=True)
class Tell:
    flag: threading.Event


@dataclass(frozen=True)
class SendUnasked:
    data: bytes


@dataclass(frozen=True)
class Head:
    start: bytes


@dataclass(frozen=True)
class Until:
    marker: bytes


@dataclass(frozen=True)
class Exact:
    data: bytes


class TlsRecord(enum.Enum):
    """What a TLS record begins with (RFC 8446 §5.1)."""

    HELLO = b"\x16\x03\x01"


HELLO = TlsRecord.HELLO

Expected = bytes | Head | Until | Exact | Frame | CloseWith | TlsRecord
Action = bytes | End | Wait | Tell | SendUnasked | Accept
Reply = Action | Sequence[Action]
Step = tuple[Expected, Reply] | Action


class Peer:
    """A scripted server.

    :param connections: the steps of each connection, in the order they are opened
    :param tls: speak TLS with this server context
    :param unix: listen on a Unix socket
    :param repeat: more connections than scripted may come; each plays the last list again
    :param partial: the client may leave at any step, and need not open every connection
    :param http2: play the same to clients that begin with the preface of HTTP/2; see
        :mod:`tests.support.http2_translation`
    """

    def __init__(
        self,
        connections: Sequence[Sequence[Step]],
        *,
        tls: ssl.SSLContext | None = None,
        unix: bool = False,
        repeat: bool = False,
        partial: bool = False,
        http2: bool = False,
    ) -> None:
        for steps in connections:
            _check_ends(steps)
        self._scripts = connections
        self._repeat = repeat
        self._partial = partial
        self._players: list[_Player] = []
        self._failures: list[str] = []
        self._stopping = threading.Event()
        self._scheme = "https" if tls else "http"
        self._translated: list[tuple[Link, threading.Thread]] = []
        play = self._play_either if http2 else self._play
        self._listener = Listener(play, tls=tls, unix=unix)

    @property
    def unix_path(self) -> str:
        """The path of the Unix socket."""
        path: Path | None = self._listener.unix_path
        assert path is not None, "not a Unix peer"
        return str(path)

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._listener.port

    @property
    def url(self) -> URL:
        """The root URL of the peer; on a Unix socket its host is ``localhost``."""
        if self._listener.unix_path:
            return URL(f"{self._scheme}://localhost/")
        return URL(f"{self._scheme}://127.0.0.1:{self.port}/")

    @property
    def connections(self) -> int:
        """How many connections were opened."""
        return len(self._players)

    @property
    def requests(self) -> list[bytes]:
        """All bytes that each connection received."""
        return [bytes(player.link.received) for player in self._players]

    async def settled(self) -> None:
        """Wait until the peer can do nothing more before the client or the test acts.

        The bytes that it has sent are then in the client's kernel buffer.
        """
        await until(
            lambda: (
                self._listener.quiet
                and all(link.quiet for link, _ in self._translated)
                and all(player.settled for player in self._players)
            ),
            "the peer to come to rest",
        )

    async def wait_connections(self, count: int) -> None:
        """Wait until *count* connections were opened."""
        await until(lambda: self.connections >= count, f"{count} connections")

    async def wait_closed(self, connection: int = 0) -> None:
        """Wait until that connection is over, because the client or the script closed it."""
        await until(
            lambda: self.connections > connection and self._players[connection].over,
            f"connection {connection + 1} to be closed",
        )

    def stop(self) -> None:
        """Close everything.

        :raises PeerFailed: the client did not follow the script
        """
        self._listener.stop()
        self._stopping.set()
        for link, thread in self._translated:
            link.interrupt()
            thread.join()
        for player in self._players:
            player.link.interrupt()
        for player in self._players:
            player.thread.join()
        missing = len(self._scripts) - len(self._players)
        if missing > 0 and not self._partial:
            self._failures.append(f"{missing} of {len(self._scripts)} connections never came")
        if self._failures:
            raise PeerFailed("\n".join(self._failures))

    def _play_either(self, link: Link) -> None:
        """Start a thread that finds out which version a new connection has."""
        thread = threading.Thread(target=self._find_version, args=[link], daemon=True)
        self._translated.append((link, thread))
        thread.start()

    def _find_version(self, link: Link) -> None:
        from .http2_translation import TranslatedConnection, begins_http2  # imports parts of h2

        try:
            link.handshake()
            is_http2 = begins_http2(link)
        except Gone:  # the player will see that, too
            is_http2 = False
        if is_http2:
            try:
                TranslatedConnection(link, self._play, self._stopping).run()
            except PeerFailed as exc:
                self._failures.append(str(exc))
        else:
            self._play(link)

    def _play(self, link: Link | TranslatedLink) -> None:
        """Start a thread that plays the next script to *link*."""
        number = len(self._players)
        steps: Sequence[Step] = []
        if number < len(self._scripts):
            steps = self._scripts[number]
        elif self._repeat and self._scripts:
            steps = self._scripts[-1]
        else:
            self._failures.append(f"connection {number + 1} is one too many")
            link.close()
            return
        player = _Player(link, steps, number + 1, self._stopping, partial=self._partial)
        player.thread = threading.Thread(
            target=player.run, args=[self._failures.append], daemon=True
        )
        self._players.append(player)
        player.thread.start()


class Script:
    """The ``script`` fixture: call it to get a :class:`Peer`.

    :param http2: whether its peers play to clients that speak HTTP/2, too
    """

    def __init__(self, *, http2: bool = False) -> None:
        self._http2 = http2
        self._peers: list[Peer] = []

    async def __call__(
        self,
        *connections: Sequence[Step],
        tls: ssl.SSLContext | None = None,
        unix: bool = False,
        repeat: bool = False,
        partial: bool = False,
    ) -> Peer:
        """Start a peer; its parameters are those of :class:`Peer`."""
        await anyio.lowlevel.checkpoint()
        peer = Peer(
            connections, tls=tls, unix=unix, repeat=repeat, partial=partial, http2=self._http2
        )
        self._peers.append(peer)
        return peer

    def stop(self) -> None:
        """Stop every peer that was started.

        :raises PeerFailed: a client did not follow its script
        """
        failures = []
        for peer in self._peers:
            try:
                peer.stop()
            except PeerFailed as exc:
                failures.append(str(exc))
        if failures:
            raise PeerFailed("\n".join(failures))


class _Player:
    """Plays the steps of one connection in a thread."""

    thread: threading.Thread

    def __init__(
        self,
        link: Link | TranslatedLink,
        steps: Sequence[Step],
        number: int,
        stopping: threading.Event,
        *,
        partial: bool,
    ) -> None:
        self.link = link
        self.over = False
        self._steps = steps
        self._number = number
        self._stopping = stopping
        self._partial = partial
        self._paused = False  # waiting in a Wait action
        self._body_open = False  # the head of a request was taken, its body was not
        self._met = False  # whether the client has sent what the present step expects
        self._sent = False
        self._notify = True  # whether to end TLS before the connection (close-notify)

    @property
    def settled(self) -> bool:
        """Whether nothing happens until the client or the test acts."""
        return self.over or self._paused or self.link.quiet

    def run(self, fail: Callable[[str], None]) -> None:
        """Play the script to its end; report a mistake to *fail*."""
        left = list(self._steps)
        try:
            self._start(bool(left))
            while left:
                self._step(left[0])
                del left[0]
            self._finish()
        except Gone as exc:
            unmet = [step[0] for step in left if isinstance(step, tuple)]
            if left and isinstance(left[0], tuple) and self._met:
                del unmet[0]  # the client had sent it, and left during the reply
            if unmet and not self._partial:
                fail(f"connection {self._number}: {exc}, before {unmet[0]!r} came")
        except (PeerFailed, BadRequest) as exc:
            fail(f"connection {self._number}: {exc}; received {bytes(self.link.received)!r}")
            self.link.reset()
        finally:
            self.link.close()
            self.over = True

    def _start(self, expects: bool) -> None:
        try:
            self.link.handshake()
        except Gone:
            # A client that rightly refuses the certificate sends no request.
            if expects:
                raise

    def _step(self, step: Step) -> None:
        self._met = False
        if isinstance(step, tuple):
            self._expect(step[0])
        self._met = True
        for action in _actions(step):
            self._act(action)

    def _expect(self, expected: Expected) -> None:
        link = self.link
        if isinstance(expected, Until):
            link.take_until(expected.marker)
            self._body_open = False
        elif isinstance(expected, TlsRecord):
            self._match(expected.value)
            link.take(int.from_bytes(link.take(5)[3:], "big"))
            self._body_open = False
        elif isinstance(expected, (Frame, CloseWith)):
            got = take_frame(link)
            start = expected.code.to_bytes(2, "big") if isinstance(expected, CloseWith) else b""
            if got != expected and not (start and got.opcode == 8 and got.data[:2] == start):
                raise PeerFailed(f"expected {expected}, got {got}")
        elif isinstance(expected, Exact):
            self._match(expected.data)
            link.take(len(expected.data))
            self._body_open = False
        else:
            start = expected.start if isinstance(expected, Head) else expected
            self._match(start)
            head = parse_head(link.take_until(b"\r\n\r\n"))
            self._body_open = isinstance(expected, Head)
            if not self._body_open:
                for _ in link.take_body(head):
                    pass

    def _match(self, start: bytes) -> None:
        """Receive bytes until they equal *start*, or until they differ from it."""
        inbox = self.link.inbox
        while True:
            if not start.startswith(inbox[: len(start)]):
                raise PeerFailed(f"expected {start!r}, got {bytes(inbox)!r}")
            if len(inbox) >= len(start):
                return
            if not self.link.fill():
                raise Gone("the client closed the connection")

    def _act(self, action: Action) -> None:
        match action:
            case bytes(data) | SendUnasked(data):
                if self._sent:
                    self.link.wait_read()
                self.link.send(data)
                self._sent = True
            case Accept():
                self.link.send(action.data(bytes(self.link.received)))
                self._sent = True
            case Tell(flag):
                flag.set()
            case Wait(flag):
                self._pause(flag)
            case End.CLOSE:
                self.link.half_close()
            case End.CUT:
                self._notify = False
                self.link.half_close(notify=False)
            case End.RESET:
                self.link.reset()
            case End.STALL:
                self._body_open = True  # later bytes are ignored
            case End.DEAF:
                self.link.wait_hangup()
                raise Gone("the client closed the connection")

    def _pause(self, flag: threading.Event) -> None:
        self._paused = True
        while not flag.wait(0.01):
            if self._stopping.is_set():
                raise Gone("the test is over")
        self._paused = False

    def _finish(self) -> None:
        """Wait until the client closes; it must not send more bytes."""
        inbox = self.link.inbox
        while not inbox or self._body_open:
            inbox.clear()
            if not self.link.fill():
                self.link.half_close(notify=self._notify)
                return
        raise PeerFailed(f"unexpected bytes after the last step: {bytes(inbox)!r}")


def _actions(step: Step) -> Sequence[Action]:
    """Return the actions of a step."""
    reply: Reply = step[1] if isinstance(step, tuple) else step
    return [reply] if isinstance(reply, Action) else reply


def _check_ends(steps: Sequence[Step]) -> None:
    """Refuse a script that has steps after its end."""
    actions = [action for step in steps for action in _actions(step)]
    if any(isinstance(action, End) for action in actions[:-1]):
        raise ValueError(f"something follows the end of the connection in {steps!r}")
