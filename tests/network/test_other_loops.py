"""Streams that are closed while their event loop does not run, or runs in another thread."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator

import anyio
import pytest

from anyhttp._network import NetworkStream, connect_tcp
from tests.support.waiting import until


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket to connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


async def connect(listener: socket.socket) -> NetworkStream:
    """Return a stream in the running event loop."""
    address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", listener.getsockname())
    return await connect_tcp(address)


def socket_of(stream: NetworkStream) -> socket.socket:
    """Return the socket below a stream."""
    found = stream.extra_info("socket")
    assert isinstance(found, socket.socket)
    return found


@pytest.mark.uvloop
async def test_aborting_in_another_thread(listener: socket.socket) -> None:
    """No event loop runs there, so that of the stream closes the socket, soon."""
    stream = await connect(listener)
    raw = socket_of(stream)
    thread = threading.Thread(target=stream.abort)
    thread.start()
    thread.join()
    assert raw.fileno() >= 0
    await until(lambda: raw.fileno() < 0, "the socket to be closed")
    await stream.aclose()


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # the loop has ended
@pytest.mark.parametrize("closes", ["asyncio", "trio"])
@pytest.mark.parametrize("opens", ["asyncio", "trio"])
def test_closing_after_the_end_of_the_loop(
    listener: socket.socket, opens: str, closes: str
) -> None:
    """It waits for nothing: the socket is closed at once."""
    stream = anyio.run(connect, listener, backend=opens)
    raw = socket_of(stream)
    anyio.run(stream.aclose, backend=closes)
    assert raw.fileno() == -1
    del stream
    gc.collect()


class ClosedMeanwhile(asyncio.SelectorEventLoop):
    """A loop that another thread closes after somebody has asked whether it is closed."""

    is_about_to_close = False

    def is_closed(self) -> bool:
        """Tell, and be closed."""
        closed = super().is_closed()
        if self.is_about_to_close:
            self.is_about_to_close = False
            self.close()
        return closed


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # the loop has ended
def test_aborting_while_another_thread_closes_the_loop(listener: socket.socket) -> None:
    """The loop cannot close the socket any more, so the caller does."""
    loop = ClosedMeanwhile()
    stream = loop.run_until_complete(connect(listener))
    raw = socket_of(stream)
    loop.is_about_to_close = True
    stream.abort()
    assert loop.is_closed()
    assert raw.fileno() == -1
    del stream
    gc.collect()
