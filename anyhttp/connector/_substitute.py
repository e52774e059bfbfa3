"""Streams in the place of the network's: in one context of the program, or in all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

from .._network import NetworkStream
from .._tasks import ClientTimeout
from ..tracing import Trace
from ._foreign import foreign_stream, made_by_program

if TYPE_CHECKING:
    from anyio.abc import ByteStream

    from ..client_reqrep import ClientRequest

__all__ = (
    "OPEN_BLOCKS",
    "StreamSource",
    "is_network_replaced",
    "replaced_network",
    "substitute_at_once",
    "substitute_for",
)


class StreamSource(Protocol):
    """What makes the streams while the network is replaced."""

    async def stream_for(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> NetworkStream | ByteStream | None:
        """Return a stream to what answers *req*, or ``None`` to let the network be used.

        The stream leads to the origin, as if a proxy's tunnel and TLS were there already.  The
        target of a request that a proxy would forward is a whole URL.

        It is asked once for each connection, within the limits of the connector.  A source may
        have a plain method ``stream_at_once(req, timeout)``, too, which is asked before it.  That
        returns a :class:`NetworkStream` if this needs no waiting, which spares the connector a
        cancel scope; else it returns ``None``, and changes nothing.

        :raises OSError: what stands for a failure to connect; a :exc:`socket.gaierror` for a name
            that cannot be resolved, an :exc:`ssl.SSLError` for TLS that fails
        """


class _Block:
    """One ``with`` block; the tasks that are started in it have it in their context."""

    __slots__ = ("outer", "source")

    def __init__(self, source: StreamSource, outer: _Block | None) -> None:
        self.source: StreamSource = source
        self.outer: _Block | None = outer


_innermost: Final[ContextVar[_Block | None]] = ContextVar("anyhttp_network", default=None)

#: The blocks that have not been left, of all contexts.  A task may outlive the block it has been
#: started in, and has the network again then.  Adding and discarding need no lock among threads.
OPEN_BLOCKS: Final[set[_Block]] = set()

#: Those among them that hold for the whole process; the last one is the innermost.
_process_blocks: Final[list[_Block]] = []


@contextmanager
def replaced_network(source: StreamSource, *, whole_process: bool = False) -> Iterator[None]:
    """Make the connections of connectors to the network streams that *source* returns.

    This holds for requests that are made in this context: in the block, and in tasks that are
    started in it.  Where the block is inside another one, the outer source is asked if the inner
    one returns ``None``.

    Such a stream serves one exchange, and connections that are idle are not used in the block.  So
    the block takes nothing from the network and leaves nothing to it.

    :param whole_process: whether it holds in every context and thread instead; blocks that hold in
        one context are inside of those that do
    """
    if whole_process:
        with _in_whole_process(_Block(source, None)):
            yield
        return
    block = _Block(source, _innermost.get())
    OPEN_BLOCKS.add(block)
    _innermost.set(block)
    try:
        yield
    finally:
        OPEN_BLOCKS.discard(block)
        # Another one is the innermost if this block is left in another context, as some fixtures
        # are, or before one that was entered later.
        if _innermost.get() is block:
            _innermost.set(block.outer)


@contextmanager
def _in_whole_process(block: _Block) -> Iterator[None]:
    OPEN_BLOCKS.add(block)
    _process_blocks.append(block)
    try:
        yield
    finally:
        _process_blocks.remove(block)
        OPEN_BLOCKS.discard(block)


def _sources() -> Iterator[StreamSource]:
    block = _innermost.get()
    while block is not None:
        if block in OPEN_BLOCKS:
            yield block.source
        block = block.outer
    for block in reversed(tuple(_process_blocks)):
        yield block.source


def is_network_replaced() -> bool:
    """Whether the network is replaced in this context."""
    return any(True for _ in _sources())


def substitute_at_once(req: ClientRequest, timeout: ClientTimeout) -> NetworkStream | None:
    """Return what the innermost source has for *req* without waiting.

    ``None``: only :func:`substitute_for` can tell.
    """
    at_once = getattr(next(_sources(), None), "stream_at_once", None)
    if at_once is None:
        return None
    stream: NetworkStream | None = at_once(req, timeout)
    return stream


async def substitute_for(
    req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
) -> NetworkStream | None:
    """Return a stream in the place of the network's for *req*; ``None`` to use the network.

    :raises OSError: what the source has raised
    :raises ConnectionTimeoutError: the source has raised a :exc:`TimeoutError`
    :raises TypeError: the source has returned something else than a stream
    """
    for source in _sources():
        made = await made_by_program(req, source.stream_for(req, traces, timeout))
        if made is not None:
            stream = foreign_stream(made, "stream_for()")
            stream.for_one_exchange = True
            return stream
    return None
