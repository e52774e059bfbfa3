"""A recorder in the place of the network, for sessions that the program makes by itself."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Unpack

from .._common import check_flag
from ..connector import replaced_network
from ._recorder import PathArgument, Recorder, RecorderOptions

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("RecordedRequests", "record_requests")


def record_requests(
    path: PathArgument | None = None,
    *,
    whole_process: bool = False,
    **options: Unpack[RecorderOptions],
) -> RecordedRequests:
    """Record the requests that the program makes in a block, or replay them.

    It is a context manager, for ``with`` or ``async with``, that returns a :class:`Recorder`.  It
    replaces the network for :class:`~anyhttp.TCPConnector`, :class:`~anyhttp.UnixConnector` and the
    transports for httpx, in every session.  The option ``connector`` makes the real connections, so
    give it what the connectors of the program have, such as contexts for TLS.

    It applies to the block and to the tasks that are started in it.  The end of the block writes
    the file, unless an exception ends the block.  ``async with`` also closes the *connector*, which
    ``with`` cannot do.

    :param path: path of the file; ``None`` neither records nor replays
    :param whole_process: apply to all tasks and threads of the process; off by default
    :param options: those of :class:`Recorder`
    :raises UnrecordedRequest: at the end, if nothing else was raised and the program has caught one
    """
    check_flag("whole_process", whole_process)
    return RecordedRequests(Recorder(path, **options), whole_process=whole_process)


class RecordedRequests:
    """What :func:`record_requests` returns: a context manager for one block."""

    def __init__(self, recorder: Recorder, *, whole_process: bool) -> None:
        self._recorder = recorder
        self._whole_process = whole_process
        self._block = ExitStack()

    def __enter__(self) -> Recorder:
        block = replaced_network(self._recorder, whole_process=self._whole_process)
        self._block.enter_context(block)
        return self._recorder

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._block.close()
        self._recorder.end(exc)

    async def __aenter__(self) -> Recorder:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._block.close()
        if exc is not None:
            self._recorder.discard()
        await self._recorder.close()
        self._recorder.end(exc)
