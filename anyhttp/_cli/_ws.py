"""``anyhttp ws URL``: sends the lines of standard input, and prints the messages."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import anyio
from anyio import to_thread

from anyhttp import (
    ClientConnectionError,
    ClientTimeout,
    ClientWebSocketResponse,
    WSCloseCode,
    WSMessage,
    WSMsgType,
)

from ._failures import FAILURES, describe, print_error
from ._fetch import PIECE, OutputClosedError, write
from ._options import Route, Sender
from ._session import CONNECT_TIMEOUT, opened_session
from ._terminal import printable, printable_line

#: Close codes that are no error; 0 stands for no code.
NORMAL_CODES: Final = {0, WSCloseCode.OK, WSCloseCode.GOING_AWAY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line."""

    url: str
    sender: Sender
    route: Route
    protocols: Sequence[str]
    compress: bool
    verbose: bool
    wait: float
    max_size: int


async def talk(options: Options) -> int:
    """Open the WebSocket, talk, and return the exit status; a failure is printed on stderr."""
    try:
        return await _talk(options)
    except OutputClosedError:
        return 1
    except FAILURES as exc:
        print_error(describe(exc))
    return 1


def print_note(options: Options, message: str) -> None:
    """Print one line on stderr if ``--verbose`` asks for it."""
    if options.verbose:
        print(printable_line(message), file=sys.stderr, flush=True)


async def _talk(options: Options) -> int:
    timeout = ClientTimeout(total=CONNECT_TIMEOUT)
    sender, route = options.sender, options.route
    status: int | None = None
    async with opened_session(sender, route, timeout=timeout) as session:
        async with session.ws_connect(
            options.url,
            params=sender.query,
            headers=sender.headers,
            auth=sender.login,
            proxy=route.proxy,
            ssl=route.tls,
            protocols=options.protocols,
            compress=15 if options.compress else 0,
            autoping=False,
            max_msg_size=options.max_size,
        ) as websocket:
            print_note(
                options, f"* open, protocol {websocket.protocol}, compress {websocket.compress}"
            )
            async with anyio.create_task_group() as tasks:
                conversation = _Conversation(websocket, options)
                tasks.start_soon(conversation.send_lines)
                status = await conversation.show()
                tasks.cancel_scope.cancel()
        print_note(options, f"* closed, code {websocket.close_code}")
    if status is None:
        raise OutputClosedError
    return status


class _Conversation:
    """The state that the sending task and the printing task share."""

    def __init__(self, websocket: ClientWebSocketResponse, options: Options) -> None:
        self._websocket = websocket
        self._options = options
        self._last_message_at = anyio.current_time()

    async def send_lines(self) -> None:
        """Send standard input; after its end, wait for the last messages, then close."""
        try:
            async with aclosing(read_lines()) as lines:
                async for line in lines:
                    await self._websocket.send_str(line)
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

    async def show(self) -> int | None:
        """Print messages until the end; return the exit status, ``None`` if nobody reads stdout."""
        while True:
            message = await self._websocket.receive()
            self._last_message_at = anyio.current_time()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    try:
                        await write(shown(message))
                    except OutputClosedError:
                        return None
                case WSMsgType.PING:
                    print_note(self._options, f"< ping {message.data!r}")
                    await self._websocket.pong(message.data)
                case WSMsgType.PONG:
                    print_note(self._options, f"< pong {message.data!r}")
                case WSMsgType.CLOSE if message.data not in NORMAL_CODES:
                    print_error(f"closed by the server: {message.data} {message.extra}")
                    return 1
                case WSMsgType.CLOSE:
                    return 0
                case _:
                    failure = message.data or self._websocket.exception()
                    if failure is None:  # the other task closes the WebSocket
                        await self._websocket.close()
                        return 0
                    print_error(f"the connection was lost: {failure}")
                    return 1


def shown(message: WSMessage) -> bytes:
    """Return a message for stdout; on a terminal, without control characters."""
    if message.type is WSMsgType.TEXT:
        text: str = message.data
        if sys.stdout.isatty():
            text = printable(text, sys.stdout.encoding)
        return f"{text}\n".encode(sys.stdout.encoding, "replace")
    data: bytes = message.data
    return b"[%d bytes]\n" % len(data) if sys.stdout.isatty() else data


async def read_lines() -> AsyncGenerator[str, None]:
    """Yield the lines of standard input as they arrive, without their line ends."""
    rest: list[bytes] = []  # joined once a line is complete: the cost is linear
    while piece := await _read_piece(sys.stdin.fileno()):
        *lines, last = piece.split(b"\n")
        if lines:
            lines[0] = b"".join([*rest, lines[0]])
            rest.clear()
        rest.append(last)
        for line in lines:
            yield line.removesuffix(b"\r").decode(errors="replace")
    if any(rest):
        yield b"".join(rest).decode(errors="replace")


async def _read_piece(descriptor: int) -> bytes:
    try:
        # Avoid a thread if possible: a thread that waits for a terminal never ends.
        await anyio.wait_readable(descriptor)
    except (OSError, NotImplementedError):  # a regular file, or Windows
        return await to_thread.run_sync(os.read, descriptor, PIECE, abandon_on_cancel=True)
    return os.read(descriptor, PIECE)
