"""``download()``: a response's body in a file, which is never half of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

from multidict import CIMultiDictProxy
from yarl import URL

from .._common import (
    Backoff,
    check_callable,
    check_count,
    check_flag,
    check_seconds,
    checked_size,
    shown_class,
)
from .._headers import header_pairs
from .._network import SSLOption
from .._targets import BasicAuth
from .._tasks import DEFAULT_TIMEOUT, ClientTimeout
from ..client import ClientSession
from ..client_middlewares import ClientMiddlewareType
from ..typedefs import LooseCookies, LooseHeaders, Query, StrOrURL
from .digest import checked_digest
from .part_file import PartFile
from .transfer import OWN_HEADERS, ProgressCallback, Transfer

__all__ = ("DownloadOptions", "DownloadResult", "download")

#: In the place of a session's default, which ends any request after 300 s.  A large file takes
#: longer, and a server that sends nothing for a minute is gone.
_TIMEOUT: Final = ClientTimeout(sock_connect=DEFAULT_TIMEOUT.sock_connect, sock_read=60)


class DownloadOptions(TypedDict, total=False):
    """Options of the requests that a download makes; they mean what they mean for any request."""

    params: Query
    cookies: LooseCookies | None
    headers: LooseHeaders | None
    skip_auto_headers: Iterable[str] | None
    auth: BasicAuth | None
    allow_redirects: bool
    max_redirects: int
    timeout: ClientTimeout | float | None
    proxy: StrOrURL | None
    proxy_auth: BasicAuth | None
    proxy_headers: LooseHeaders | None
    ssl: SSLOption | None
    server_hostname: str | None
    trace_request_ctx: object
    read_bufsize: int | None
    auto_decompress: bool | None
    max_line_size: int | None
    max_field_size: int | None
    max_headers: int | None
    middlewares: Sequence[ClientMiddlewareType] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadResult:
    """A file that has been downloaded.

    :param path: where it is; symbolic links are resolved
    :param size: in bytes
    :param resumed_from: how many of these bytes were there from an earlier download
    :param url: where the file came from, after redirects
    :param headers: those of the response that had the last bytes
    """

    path: Path
    size: int
    resumed_from: int
    url: URL
    headers: CIMultiDictProxy[str]


async def download(
    session: ClientSession,
    url: StrOrURL,
    path: str | os.PathLike[str],
    *,
    resume: bool = True,
    overwrite: bool = True,
    attempts: int = 4,
    backoff: float = 0.5,
    digest: str | None = None,
    max_body_size: int | None = None,
    progress: ProgressCallback | None = None,
    **options: Unpack[DownloadOptions],
) -> DownloadResult:
    """Download *url* to the file *path*, which appears when it is complete.

    Until then the bytes are in a file with the same name and ``.part``, beside a ``.part.json``
    that describes them.  If the download is interrupted, both files stay, and the next download
    asks only for the bytes that are missing.  It begins anew unless the server says that the file
    has not changed: by a strong entity tag or, if there is none at all, by the date of the last
    change.

    Files are written in worker threads.  Only one download at a time can write to a *path*.

    :param session: makes the requests
    :param url: absolute, or relative to the *base_url* of the session
    :param path: the file.  Its directory must exist.  A file that exists keeps its permissions; of
        a symbolic link, the file that it points to is replaced
    :param resume: go on with what an earlier download has left; ``False`` begins anew
    :param overwrite: replace a file that exists
    :param attempts: how many requests may be made if connections cannot be opened or break: 4 by
        default.  Bytes that have arrived are not asked for again.  For statuses such as 503, give
        the session a :class:`RetryMiddleware`
    :param backoff: upper bound of the first pause between two requests, in seconds: half a second
        by default.  The bound doubles with each request, up to 30 seconds, and the pause is a
        random part of it
    :param digest: the digest that the file must have: the name of an algorithm of ``hashlib``, a
        colon, and hexadecimal digits, as in ``"sha256:9f86d0…"``
    :param max_body_size: largest size of the file, in bytes; no limit by default
    :param progress: called with the number of bytes so far, and the size of the file or ``None``,
        when a response has come and whenever bytes have been written.  It may be async
    :param options: of each request; see :class:`RequestOptions`.  Unless the session or *timeout*
        sets time limits, the whole may take any time, but 60 seconds without a byte are an error
    :raises FileExistsError: the file exists and *overwrite* is false, *path* is not a file, or
        there is a ``.part`` file that no download has left
    :raises OSError: the file could not be written
    :raises ClientResponseError: the server answered with a status other than that of a file
    :raises ClientPayloadError: the body ended early at every attempt
    :raises BodyTooLargeError: there are more than *max_body_size* bytes; none are kept
    :raises DigestMismatchError: the file is complete but has another digest; it is not kept
    :raises DownloadError: another download is writing to *path*
    :raises ValueError: an argument has a value that is not allowed
    :raises TypeError: an argument has the wrong type

    It raises the exceptions of :meth:`ClientSession.request`, too.  After a failure, the file at
    *path* is as it was before; after a cancellation, it is as before or complete.  A ``.part`` file
    stays if a later call can go on with it.
    """
    if not isinstance(session, ClientSession):
        name = shown_class(type(session))
        raise TypeError(f"session must be an anyhttp.ClientSession, not {name}")
    check_flag("resume", resume)
    check_count("attempts", attempts, least=1)
    check_seconds("backoff", backoff, optional=False, finite=True)
    if progress is not None:
        check_callable("progress", progress)
    given: dict[str, Any] = {**options}
    for name in given:
        if name not in DownloadOptions.__optional_keys__:
            raise TypeError(f"download() has no option {name!r}")
    headers = _checked_headers(given.pop("headers", None))
    if max_body_size is not None:
        # The session may have a lower limit.
        given["max_body_size"] = checked_size("max_body_size", max_body_size)
    if "timeout" not in given and session.timeout == DEFAULT_TIMEOUT:
        given["timeout"] = _TIMEOUT
    part = _part_of(path, overwrite=overwrite)
    transfer = Transfer(
        session,
        url,
        part,
        headers=headers,
        options=given,
        attempts=attempts,
        backoff=Backoff(first=backoff),
        limit=max_body_size,
        digest=None if digest is None else checked_digest(digest),
        progress=progress,
    )
    response = await transfer.run(resume=resume)
    return DownloadResult(
        path=Path(part.path),
        size=part.size,
        resumed_from=transfer.resumed_from,
        url=response.url,
        headers=response.headers,
    )


def _checked_headers(headers: LooseHeaders | None) -> list[tuple[str, str]]:
    pairs = header_pairs("headers", headers)
    for name, _ in pairs:
        if name.lower() in OWN_HEADERS:
            raise ValueError(f"headers must not hold {name}, which a download sets by itself")
    return pairs


def _part_of(path: str | os.PathLike[str], *, overwrite: bool) -> PartFile:
    check_flag("overwrite", overwrite)
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str):
        raise TypeError(f"path must be a str or a path, not {shown_class(type(path))}")
    if not os.path.basename(text) or "\0" in text:
        raise ValueError(f"path must be that of a file, got {text!r}")
    return PartFile(text, overwrite=overwrite)
