"""Spellings of older versions of the API, folded into those of today.

Each function here takes arguments as older programs give them, warns, and returns what is
said instead now; so nothing else of the package knows that they exist.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Mapping
from dataclasses import replace
from http.cookies import SimpleCookie
from ssl import SSLContext
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypedDict

from ._deprecation import public_call, warn_deprecated
from ._timeouts import DEFAULT_TIMEOUT, ClientTimeout
from .abc import AbstractCookieJar
from .client_reqrep import Fingerprint, SSLOption, ssl_option
from .formdata import FormData
from .payload import StringPayload

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = (
    "EventLoop",
    "OldOptions",
    "cookies_of",
    "fold_options",
    "fold_ssl",
    "fold_timeouts",
    "running_loop",
    "warn_without_effect",
)

EventLoop: TypeAlias = "AbstractEventLoop"


class OldOptions(TypedDict, total=False):
    """Options of a request that still work, with a ``DeprecationWarning``.

    ``encoding`` is the charset of text and forms, ``files`` another name of ``data``; the
    others became ``ssl``.
    """

    encoding: str | None
    files: Any
    verify_ssl: bool | None
    ssl_context: SSLContext | None
    fingerprint: bytes | None


# -- options of a request --------------------------------------------------------------


def fold_options(options: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return the options of a request as they are given today.

    :param known: names of all options, old and new
    :raises TypeError: an option is not known, or of a wrong type
    :raises ValueError: an old option contradicts another
    """
    for name in options:
        if name not in known:
            raise TypeError(f"{public_call()}() got an unexpected keyword argument {name!r}")
    folded = dict(options)
    chunked = folded.get("chunked")
    if chunked is not None and not isinstance(chunked, bool):
        folded["chunked"] = _fold_chunked(chunked)
    if folded.get("version") is not None:
        warn_deprecated("version is deprecated here: give it to ClientSession()")
    files = folded.pop("files", None)
    if files is not None:
        warn_deprecated("files is deprecated: it is named data now")
        if folded.get("data") is not None:
            raise ValueError("data and files cannot be given together: files is its old name")
        folded["data"] = files
    encoding = folded.pop("encoding", None)
    if encoding is not None:
        warn_deprecated(
            "encoding is deprecated: give text.encode(...) or FormData(..., charset=...) as data"
        )
        folded["data"] = _encoded(folded.get("data"), encoding)
    tls = {name: folded.pop(name, None) for name in ("verify_ssl", "ssl_context", "fingerprint")}
    if tls != _NO_TLS:
        folded["ssl"] = fold_ssl(folded.get("ssl", True), **tls)
    return folded


_NO_TLS: Final = dict.fromkeys(("verify_ssl", "ssl_context", "fingerprint"))


def _fold_chunked(size: object) -> bool:
    if not isinstance(size, int):
        raise TypeError(f"chunked must be a bool, not {type(size).__name__}")
    warn_deprecated("chunked is a bool now: the size of the chunks is not for the caller to say")
    return bool(size)


def _encoded(data: object, encoding: str) -> object:
    """Return a body that sends *data*, if it is text or a form, in the charset *encoding*."""
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(f"encoding must be the name of a charset, not {encoding!r}") from None
    if isinstance(data, str):
        return StringPayload(data, encoding=encoding)
    if isinstance(data, (Mapping, list, tuple)):
        return FormData(data, charset=encoding)
    return data


# -- TLS -------------------------------------------------------------------------------


def fold_ssl(
    ssl: SSLOption | None,
    *,
    verify_ssl: bool | None,
    ssl_context: SSLContext | None,
    fingerprint: bytes | None,
) -> SSLOption:
    """Return the ``ssl`` option that these arguments of a connector or a request stand for.

    :raises TypeError: one of them is of a type that it cannot be
    :raises ValueError: more than one of them says something
    """
    said: list[SSLOption] = [] if ssl is True else [ssl_option(ssl)]
    if verify_ssl is not None:
        warn_deprecated("verify_ssl is deprecated: ssl=False stands for verify_ssl=False")
        # True is what happens anyway, and older programs say it beside a context.
        if not verify_ssl or ssl is False:
            said.append(bool(verify_ssl))
    if ssl_context is not None:
        warn_deprecated("ssl_context is deprecated: give it as ssl")
        if not isinstance(ssl_context, SSLContext):
            name = type(ssl_context).__name__
            raise TypeError(f"ssl_context must be an ssl.SSLContext, not {name}")
        said.append(ssl_context)
    if fingerprint is not None:
        warn_deprecated("fingerprint is deprecated: give ssl=Fingerprint(...)")
        said.append(Fingerprint(fingerprint))
    if len(said) > 1:
        raise ValueError("only one of ssl, verify_ssl, ssl_context and fingerprint can be given")
    return said[0] if said else True


# -- arguments and attributes of a session or a connector ------------------------------


def fold_timeouts(
    timeout: ClientTimeout | None,
    read_timeout: float | EllipsisType | None,
    conn_timeout: float | EllipsisType | None,
) -> ClientTimeout:
    """Return the time limits of a session.

    :raises ValueError: *timeout* is not a :class:`ClientTimeout`, or given beside an old name
    """
    if timeout is not None and not isinstance(timeout, ClientTimeout):
        raise ValueError(
            f"timeout must be a ClientTimeout, such as ClientTimeout(total=60), "
            f"not {type(timeout).__name__}"
        )
    if read_timeout is ... and conn_timeout is ...:
        return DEFAULT_TIMEOUT if timeout is None else timeout
    if timeout is not None:
        raise ValueError("read_timeout and conn_timeout cannot be given together with timeout")
    folded = DEFAULT_TIMEOUT
    if read_timeout is not ...:
        warn_deprecated("read_timeout is deprecated: give timeout=ClientTimeout(total=...)")
        folded = replace(folded, total=read_timeout)
    if conn_timeout is not ...:
        warn_deprecated("conn_timeout is deprecated: give timeout=ClientTimeout(connect=...)")
        folded = replace(folded, connect=conn_timeout)
    return folded


def warn_without_effect(**arguments: object) -> None:
    """Warn of *arguments* that do nothing, as far as they are given."""
    for name, value in arguments.items():
        if value is not None and value is not False:
            warn_deprecated(f"{name} is deprecated: it has no effect")


def running_loop() -> EventLoop | None:
    """Return asyncio's running event loop, for attributes called ``loop``; ``None`` on trio."""
    warn_deprecated("loop is deprecated: asyncio.get_running_loop() says which loop it is")
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def cookies_of(jar: AbstractCookieJar) -> SimpleCookie:
    """Return the cookies of *jar*; of those with equal names, one."""
    warn_deprecated("cookies is deprecated: iterate over cookie_jar, or filter_cookies() of it")
    cookies = SimpleCookie()
    for morsel in jar:
        # Not by assignment, which refuses names that servers use.
        dict.__setitem__(cookies, morsel.key, morsel)
    return cookies
