"""``anyhttp ws URL``: sends the lines of standard input, and prints the messages."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import anyio

from anyhttp import (
    ClientConnectionError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    WSCloseCode,
    WSMessage,
    WSMsgType,
)
from anyhttp._common import Backoff

from ._failures import FAILURES, describe, may_pass, print_error, print_line
from ._fetch import OutputClosedError, write
from ._lines import Lines
from ._options import Route, Sender, Watch, sent_options
from ._session import CONNECT_TIMEOUT
from ._terminal import printable, printable_line
from ._watch import watched_session

#: Close codes that are no error; 0 stands for no code.
NORMAL_CODES: Final = {0, WSCloseCode.OK, WSCloseCode.GOING_AWAY}

#: Close codes of a server that failed, or that is being replaced by another.
PASSING_CODES: Final = {
    WSCloseCode.INTERNAL_ERROR,
    WSCloseCode.SERVICE_RESTART,
    WSCloseCode.TRY_AGAIN_LATER,
    WSCloseCode.BAD_GATEWAY,
}

#: Bounds of the pauses of ``--reconnect``, in seconds: after the first failure, and the longest.
PAUSES: Final = (1.0, 60.0)

#: How many connections in a row may fail.
ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line."""

    url: str
    sender: Sender
    route: Route
    protocols: Sequence[str]
    compress: bool
    watch: Watch
    wait: float
    max_size: int
    reconnect: bool


@dataclass(frozen=True, slots=True)
class End:
    """How a connection has ended."""

    status: int  # to exit with
    error: str = ""
    may_pass: bool = False  # whether another connection may do better


async def talk(options: Options) -> int:
    """Open the WebSocket, talk, and return the exit status; a failure is printed on stderr."""
    lines = Lines()
    status = 1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lines.read)
        try:
            status = await _talk(options, lines)
        except FAILURES as exc:
            print_error(describe(exc))
        tasks.cancel_scope.cancel()
    return status


def print_note(options: Options, message: str) -> None:
    """Print one line on stderr if ``--verbose`` asks for it."""
    if options.watch.verbose:
        print_line(printable_line(message))


async def _talk(options: Options, lines: Lines) -> int:
    """Talk, over as many connections as it takes if ``--reconnect`` asks for that."""
    first, longest = PAUSES
    backoff = Backoff(first=first, longest=longest)
    failures = 0
    timeout = ClientTimeout(total=CONNECT_TIMEOUT)
    async with watched_session(
        options.watch, options.sender, options.route, timeout=timeout
    ) as session:
        while True:
            connection = _Connection(session, options, lines)
            begun = anyio.current_time()
            end = await connection.run()
            if connection.was_useful or anyio.current_time() - begun >= longest:
                failures = 0
            failures += 1
            if not (options.reconnect and end.may_pass and failures < ATTEMPTS):
                break
            pause = backoff.delay(failures)
            print_error(f"{end.error}; connecting again in {pause:.1f} s")
            await anyio.sleep(pause)
    if end.error:
        print_error(end.error)
    return end.status


class _Connection:
    """One WebSocket, from opening it to its end."""

    def __init__(self, session: ClientSession, options: Options, lines: Lines) -> None:
        self._session = session
        self._options = options
        self._lines = lines
        #: whether messages have come
        self.was_useful: bool = False

    async def run(self) -> End:
        """Open the WebSocket and talk until it is over."""
        options = self._options
        try:
            async with self._session.ws_connect(
                options.url,
                protocols=options.protocols,
                compress=15 if options.compress else 0,
                autoping=False,
                max_msg_size=options.max_size,
                **sent_options(options.sender, options.route),
            ) as websocket:
                print_note(
                    options, f"* open, protocol {websocket.protocol}, compress {websocket.compress}"
                )
                conversation = Conversation(websocket, options, self._lines)
                try:
                    end = await conversation.run()
                finally:
                    self.was_useful = conversation.has_received
            print_note(options, f"* closed, code {websocket.close_code}")
        except FAILURES as exc:
            return End(1, describe(exc), may_pass(exc))
        return end


class Conversation:
    """The state that the sending task and the printing task of a WebSocket share."""

    def __init__(self, websocket: ClientWebSocketResponse, options: Options, lines: Lines) -> None:
        self._websocket = websocket
        self._options = options
        self._lines = lines
        self._last_message_at = anyio.current_time()
        self.has_received: bool = False

    async def run(self) -> End:
        """Send lines and print messages until the end."""
        end: End | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.send_lines)
            try:
                end = await self.show()
            except FAILURES as exc:
                end = End(1, describe(exc), may_pass(exc))
            tasks.cancel_scope.cancel()
        assert end is not None
        return end

    async def send_lines(self) -> None:
        """Send standard input; after its end, wait for the last messages, then close."""
        try:
            while (line := await self._lines.next()) is not None:
                await self._websocket.send_str(line)
                self._lines.forget()
            if not sys.stdin.isatty():
                await self._wait_for_silence()
            await self._websocket.close()
        except ClientConnectionError:
            pass  # the task that receives finds out the reason

    async def _wait_for_silence(self) -> None:
        """Wait until no message has come for a while: nothing tells which message is the last."""
        self._last_message_at = anyio.current_time()
        left = self._options.wait
        while left > 0:
            await anyio.sleep(left)
            left = self._last_message_at + self._options.wait - anyio.current_time()

    async def show(self) -> End:
        """Print messages until the end."""
        while True:
            message = await self._websocket.receive()
            self._last_message_at = anyio.current_time()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    self.has_received = True
                    try:
                        await write(shown(message))
                    except OutputClosedError:
                        return End(1)
                case WSMsgType.PING:
                    print_note(self._options, f"< ping {message.data!r}")
                    await self._websocket.pong(message.data)
                case WSMsgType.PONG:
                    print_note(self._options, f"< pong {message.data!r}")
                case WSMsgType.CLOSE if message.data not in NORMAL_CODES:
                    error = f"closed by the server: {message.data} {message.extra}"
                    return End(1, error, message.data in PASSING_CODES)
                case WSMsgType.CLOSE:
                    return End(0)
                case _:
                    return await self._end_without_close(message)

    async def _end_without_close(self, message: WSMessage) -> End:
        failure = message.data or self._websocket.exception()
        if failure is None:  # the other task closes the WebSocket
            await self._websocket.close()
            return End(0)
        return End(1, f"the connection was lost: {failure}", may_pass(failure))


def shown(message: WSMessage) -> bytes:
    """Return a message for stdout; on a terminal, without control characters."""
    if message.type is WSMsgType.TEXT:
        text: str = message.data
        if sys.stdout.isatty():
            text = printable(text, sys.stdout.encoding)
        return f"{text}\n".encode(sys.stdout.encoding, "replace")
    data: bytes = message.data
    return b"[%d bytes]\n" % len(data) if sys.stdout.isatty() else data
