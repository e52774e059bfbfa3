"""A file that worker threads use, and that is closed when no thread uses it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread

from .._tasks import CLEAN_UP_SECONDS

__all__ = ("FileInThreads",)

T = TypeVar("T")

#: How long closing waits for a thread that reads from a disk, in seconds: much longer than a read
#: takes, unless the disk hangs.  A pipe may be silent for ever, so nothing waits for it.
CLOSING_SECONDS: Final = 0.5


class _Use:
    """One call of a function that uses the file."""

    __slots__ = ("is_abandoned",)

    def __init__(self) -> None:
        self.is_abandoned = False  # then the thread must not begin any more


class FileInThreads:
    """Uses a file in worker threads, in one thread at a time.

    A thread cannot be cancelled, and reading may take for ever: from a pipe, or from a disk that
    hangs.  So a caller that is cancelled leaves the thread behind.  The file cannot be closed
    under a thread that reads it: :meth:`close` leaves that to the thread.

    :param may_block: whether the file is a pipe or the like, which may have nothing to read
    """

    __slots__ = ("_closed", "_closing", "_file", "_lock", "_wait_seconds")

    def __init__(self, file: Any, *, may_block: bool) -> None:
        self._file: Final = file
        self._wait_seconds: Final = 0.0 if may_block else CLOSING_SECONDS
        self._lock: Final = threading.Lock()  # held by the thread that uses the file
        self._closing = False  # set before the lock is tried, and read after it was released
        self._closed = False

    async def call(self, function: Callable[..., T], *args: object) -> T | None:
        """Return what *function* returns in a worker thread.

        When this is cancelled, the thread may go on using the file.
        """
        use = _Use()
        try:
            return await anyio.to_thread.run_sync(
                self._use, use, function, args, abandon_on_cancel=True
            )
        except BaseException:
            use.is_abandoned = True
            raise

    def _use(self, use: _Use, function: Callable[..., T], args: tuple[object, ...]) -> T | None:
        try:
            # A thread that was left behind may still be reading, and so move the position.
            with self._lock:
                return None if use.is_abandoned else function(*args)
        finally:
            if self._closing:
                self._close(timeout=0.0)

    def _close(self, timeout: float) -> None:
        """Close the file, unless a thread uses it, which will call this method at its end."""
        if self._lock.acquire(timeout=timeout):
            try:
                if not self._closed:
                    self._closed = True
                    close = getattr(self._file, "close", None)
                    if close is not None:
                        close()
            finally:
                self._lock.release()

    def close_nowait(self) -> None:
        """Close the file in this thread; if another thread uses it, that one closes it at its end.

        It is for a coroutine that is being closed, and so cannot await anything.
        """
        self._closing = True
        self._close(timeout=0.0)

    async def close(self) -> None:
        """Close the file in a worker thread, and wait for it, but not for a disk that hangs.

        If a thread still uses the file then, that thread closes it at its end.  The file is
        closed after cancellation too.
        """
        self._closing = True
        if self._lock.locked() and not self._wait_seconds:
            return
        try:
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                await anyio.to_thread.run_sync(
                    self._close, self._wait_seconds, abandon_on_cancel=True
                )
        finally:
            # A shield does not stop task.cancel() of asyncio, and all worker threads may be busy.
            if not self._closed and not self._lock.locked():
                threading.Thread(target=self._close, args=(CLOSING_SECONDS,), daemon=True).start()
