"""Tracking the progress of sending a request's body."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any, Final

import anyio

from ..client_exceptions import ClientConnectionError, UploadAbortedError
from .upload import Upload

__all__ = ("UploadComplete", "UploadProgress", "UploadTracker", "abort_unsent", "upload_progress")

#: What can end the sending of a body and the request alike.
_FAILURES: Final = (ClientConnectionError, TimeoutError)


class UploadComplete:
    """The end of an upload: await this object, or call its methods.

    Awaiting it returns ``None`` when the body has been sent, and raises an exception if the
    upload failed.  Any number of tasks may await it.  Cancelling one of them has no effect on
    the upload.
    """

    __slots__ = ("_error", "_over")

    def __init__(self) -> None:
        self._over = anyio.Event()
        self._error: Exception | None = None

    def __repr__(self) -> str:
        state = "pending" if not self.done() else "sent" if self._error is None else "failed"
        return f"<{type(self).__name__} {state}>"

    def __await__(self) -> Generator[Any, Any, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        await self._over.wait()
        self.result()

    def done(self) -> bool:
        """Whether the upload has ended, with or without success."""
        return self._over.is_set()

    def result(self) -> None:
        """Return if the body was sent.

        :raises RuntimeError: the upload is not over yet
        :raises UploadAbortedError: it was cut short
        :raises ClientError: it failed
        :raises TimeoutError: the request's ``total`` time was over
        """
        error = self.exception()
        if error is not None:
            raise error

    def exception(self) -> Exception | None:
        """Return the exception of the upload, ``None`` if the body was sent.

        :raises RuntimeError: the upload is not over yet
        """
        if not self.done():
            raise RuntimeError("the upload is not over yet")
        return self._error

    def _settle(self, error: Exception | None) -> None:
        self._error = error
        self._over.set()


class UploadTracker:
    """Tells how much of the body of one request has been sent.

    Give it to the request as ``upload_tracker``, and read it from another task, or from the
    block of the response.  It can be made anywhere, also before an event loop runs.
    """

    def __init__(self) -> None:
        #: how many times the request was sent: redirects and retries send it again
        self.attempts: int = 0
        #: bytes of body written in the latest attempt, before compression and framing
        self.bytes_written: int = 0
        #: how many there will be, also before compression and framing; ``None`` before the first
        #: attempt, and for a body whose size is not known beforehand, such as that of a generator
        self.total: int | None = None
        #: the end of the upload, which can be awaited.  It comes when the latest attempt has
        #: ended and the request will not be sent again.  Awaiting raises
        #: :exc:`UploadAbortedError` if that attempt was aborted, or never begun
        self.upload_complete: UploadComplete = UploadComplete()
        self._is_taken = False  # whether a request uses this tracker

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} attempts={self.attempts} bytes_written={self.bytes_written} "
            f"total={self.total} {self.upload_complete!r}>"
        )


class UploadProgress:
    """The writing side of a tracker: the request reports its progress here."""

    __slots__ = ("_error", "_is_begun", "_is_last", "_is_writing", "_sent", "_tracker")

    def __init__(self, tracker: UploadTracker) -> None:
        self._tracker = tracker
        self._is_last = False  # no further attempt follows
        self._is_begun = False  # the present attempt has a connection, and sends the body
        self._is_writing = False
        self._sent = False
        self._error: Exception | None = None

    def begin_attempt(self, total: int | None) -> None:
        """Count one more sending of the request.

        :param total: size of its body in bytes, if that is known
        """
        self._tracker.attempts += 1
        self._tracker.bytes_written = 0
        self._tracker.total = total
        self._is_begun = False
        self._sent = False
        self._error = None

    def follow(self, upload: Upload) -> None:
        """Report the progress and the end of *upload* to the tracker."""
        self._is_begun = self._is_writing = True
        upload.on_written = self._add
        upload.when_over.append(partial(self._end_upload, upload))

    def end_attempt(self, size: int, error: Exception | None) -> None:
        """Note that a body of *size* bytes was sent together with the head, or failed to be."""
        self._is_begun = True
        self._add(size)
        self._end_attempt(sent=error is None, error=error)

    def end_request(self, error: BaseException | None = None) -> None:
        """Note that the request has returned, or failed with *error*.

        Its upload may still be running.  If both failed, the tracker gets the exception that the
        request raises, whichever of them noticed first that the connection was lost.
        """
        self._is_last = True
        if self._is_begun and not self._sent and isinstance(error, _FAILURES):
            self._error = error
        if not self._is_writing:
            self._complete()

    def _add(self, size: int) -> None:
        self._tracker.bytes_written += size

    def _end_upload(self, upload: Upload) -> None:
        self._end_attempt(sent=upload.is_sent, error=upload.failure_for_tracker())

    def _end_attempt(self, *, sent: bool, error: Exception | None) -> None:
        self._is_writing = False
        self._sent = sent
        self._error = error
        if self._is_last:
            self._complete()

    def _complete(self) -> None:
        error = self._error
        if not self._sent and error is None:
            error = UploadAbortedError("the body of the request was not sent to its end")
        self._tracker.upload_complete._settle(error)


def upload_progress(tracker: UploadTracker) -> UploadProgress:
    """Return the writing side of *tracker*, for one request.

    :raises RuntimeError: a request has it already
    """
    if tracker._is_taken:
        raise RuntimeError("upload_tracker is that of another request: each needs its own")
    tracker._is_taken = True
    return UploadProgress(tracker)


def abort_unsent(tracker: object) -> None:
    """Abort the upload of a request that is refused before it begins.

    :param tracker: its ``upload_tracker``; nothing happens if that is none, or another request's
    """
    if isinstance(tracker, UploadTracker) and not tracker._is_taken:
        upload_progress(tracker).end_request()
