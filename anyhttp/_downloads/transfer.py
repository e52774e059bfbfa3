"""Receiving a file over as many requests as it takes."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from .. import hdrs
from .._common import Backoff
from ..client import ClientSession, pause
from ..client_exceptions import (
    CONNECTION_FAILURES,
    LASTING_FAILURES,
    BodyTooLargeError,
    ClientPayloadError,
    ClientResponseError,
    DigestMismatchError,
)
from ..client_reqrep import ClientResponse
from ..payload import FileInThreads
from ..typedefs import StrOrURL
from .content_range import parse_content_range
from .digest import Digest
from .notes import Notes, digest_of_url
from .part_file import PartFile
from .validator import is_still_valid, validator_of

__all__ = ("OWN_HEADERS", "ProgressCallback", "Transfer")

logger: Final = logging.getLogger("anyhttp.client")

#: Called with the number of bytes that are there, and the size of the file if it is known.
ProgressCallback = Callable[[int, int | None], object]

#: The headers that tell which bytes of the file are asked for, and in which form.
OWN_HEADERS: Final = frozenset({"accept-encoding", "if-range", "range"})

_BREAKS: Final = (*CONNECTION_FAILURES, ClientPayloadError)

#: Failures that no further request would mend.
_LASTING: Final = (*LASTING_FAILURES, BodyTooLargeError)

#: How much of the file is read for its digest before the task can be cancelled, in bytes.
_READ_SIZE: Final = 4 * 2**20


class _UnusableError(Exception):
    """What the server answers does not fit to the bytes that are there."""


class Transfer:
    """One download: requests until the whole file has come, or a failure that lasts.

    :param options: those of each request
    :param attempts: how many requests may break off, the last of them included
    :param limit: most bytes of the file
    """

    def __init__(
        self,
        session: ClientSession,
        url: StrOrURL,
        part: PartFile,
        *,
        headers: list[tuple[str, str]],
        options: Mapping[str, Any],
        attempts: int,
        backoff: Backoff,
        limit: int | None,
        digest: Digest | None,
        progress: ProgressCallback | None,
    ) -> None:
        self._session = session
        self._url = url
        self._part = part
        self._file = FileInThreads(part, may_block=False)
        self._headers = headers
        self._options = options
        self._attempts = attempts
        self._limit = limit
        self._digest = digest
        self._progress = progress
        self._progress_failed = False
        self._backoff = backoff
        #: how many of the bytes that an earlier download has left were used
        self.resumed_from: int = 0

    async def run(self, *, resume: bool) -> ClientResponse:
        """Download the file, and return the response with its last bytes.

        :param resume: use what an earlier download has left
        """
        try:
            response = await self._run(resume=resume)
        except GeneratorExit:  # the coroutine is being closed, so nothing can be awaited
            self._file.close_nowait()
            raise
        except BaseException as exc:
            self._part.is_kept = not isinstance(exc, (BodyTooLargeError, DigestMismatchError))
            await self._file.close()
            raise
        await self._file.close()
        return response

    async def _run(self, *, resume: bool) -> ClientResponse:
        file, part = self._file, self._part
        await file.call(part.open)
        if not resume:
            await file.call(part.cut, 0)
        self.resumed_from = part.size
        response = await self._receive_all()
        if self._digest is not None:
            await self._check_digest(self._digest)
        await file.call(part.finish)
        return response

    async def _receive_all(self) -> ClientResponse:
        failures = 0
        while True:
            try:
                return await self._receive_more()
            except _UnusableError:
                logger.debug("the download to %r begins anew", self._part.path)
                await self._file.call(self._part.cut, 0)
                continue
            except _BREAKS as exc:
                failures += 1
                if failures >= self._attempts or self._is_final(exc):
                    raise
                delay = self._backoff.delay(failures)
                logger.debug(
                    "the download to %r goes on in %.1f s, after %d bytes: %s",
                    self._part.path,
                    delay,
                    self._part.size,
                    type(exc).__name__,  # its text may show the query of the URL
                )
            await pause(self._session, delay)

    async def _receive_more(self) -> ClientResponse:
        """Make one request for what is missing, and write what comes."""
        part = self._part
        offset = part.resume_at
        headers = [*self._headers, ("Accept-Encoding", "identity")]
        if offset and part.notes is not None and part.notes.validator is not None:
            headers += [("Range", f"bytes={offset}-"), ("If-Range", part.notes.validator)]
        total: int | None
        try:
            async with self._session.get(
                self._url, headers=headers, raise_for_status=True, **self._options
            ) as response:
                if offset and response.status == 206:
                    total = self._total_of_range(response, offset)
                    await self._file.call(part.cut, offset)
                else:
                    total = await self._begin(response)
                    offset = self.resumed_from = 0
                await self._write(response, total, may_begin_anew=offset > 0)
                return response
        except ClientResponseError as exc:
            if offset and exc.status == 416 and not self._is_final(exc):
                raise _UnusableError from exc
            raise

    def _is_final(self, error: Exception) -> bool:
        """Whether the download fails with *error*: no further request would mend it."""
        return self._progress_failed or isinstance(error, _LASTING)

    # -- the head of the response

    async def _begin(self, response: ClientResponse) -> int | None:
        """Begin the file anew, with the body of *response*; return its size, if it is known."""
        if response.status != 200:
            raise ClientResponseError(
                response.request_info,
                response.history,
                status=response.status,
                message="the response does not hold the file that was asked for",
                headers=response.headers,
            )
        coded = self._is_decoded(response)
        total = None if coded else response.content_length
        self._check_size(total)
        notes = Notes(
            url=_url_asked_for(response),
            # The tag of a coded file says nothing about the bytes of the decoded one.
            validator=None if coded else validator_of(response.headers),
            total=total,
        )
        await self._file.call(self._part.begin, notes)
        return total

    def _total_of_range(self, response: ClientResponse, offset: int) -> int:
        """Return the size of the file of which *response* has the bytes from *offset* on.

        :raises _UnusableError: it has not, or may have those of another file
        """
        notes = self._part.notes
        found = parse_content_range(response.headers.get(hdrs.CONTENT_RANGE, ""))
        if (
            notes is None
            or notes.validator is None
            or not is_still_valid(notes.validator, response.headers)
            or notes.url != _url_asked_for(response)
            or found is None
            or found.first != offset
            or found.total is None
            or notes.total not in {None, found.total}
            or self._is_decoded(response)
        ):
            raise _UnusableError
        self._check_size(found.total)
        return found.total

    def _is_decoded(self, response: ClientResponse) -> bool:
        """Whether the body comes in a coding, although none was asked for, and is decoded."""
        decode = self._options.get("auto_decompress")
        if not (self._session.auto_decompress if decode is None else decode):
            return False
        coding = response.headers.get(hdrs.CONTENT_ENCODING, "identity")
        return coding.strip().lower() != "identity"

    def _check_size(self, size: int | None) -> None:
        if size is not None and self._limit is not None and size > self._limit:
            raise BodyTooLargeError(f"the file is larger than max_body_size ({self._limit} bytes)")

    # -- its body

    async def _write(
        self, response: ClientResponse, total: int | None, *, may_begin_anew: bool
    ) -> None:
        """Write the body of *response* to the end of the part.

        :param total: how many bytes there are then
        """
        part = self._part
        await self._tell(total)
        async for piece in response.content.iter_any():
            size = part.size + len(piece)
            self._check_size(size)
            if total is not None and size > total:
                if may_begin_anew:
                    raise _UnusableError
                raise ClientPayloadError(f"the response has more than the announced {total} bytes")
            await self._file.call(part.write, piece)
            await self._tell(total)
        if total is None:
            await self._tell(part.size)
        elif part.size < total:
            raise ClientPayloadError(f"the file ended after {part.size} of {total} bytes")

    async def _tell(self, total: int | None) -> None:
        if self._progress is None:
            return
        try:
            result = self._progress(self._part.size, total)
            if inspect.isawaitable(result):
                await result
        except Exception:
            self._progress_failed = True  # it may have sent a request of its own
            raise

    async def _check_digest(self, digest: Digest) -> None:
        found = digest.start()
        position = 0
        while size := await self._file.call(self._part.feed, found, position, _READ_SIZE):
            position += size
        if found.hexdigest() != digest.expected:
            raise DigestMismatchError(
                self._part.path, digest.algorithm, digest.expected, found.hexdigest()
            )


def _url_asked_for(response: ClientResponse) -> str:
    """Return the digest of the URL that the caller asked for, before redirects."""
    first = response.history[0] if response.history else response
    return digest_of_url(first.url)
