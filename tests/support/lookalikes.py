"""Objects with the attributes that those of aiohttp have, so that aiohttp need not be installed.

``tests/compat`` tests the same with aiohttp's own.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

from multidict import CIMultiDict

from anyhttp import TraceConfig as OwnTraceConfig, encode_basic_auth
from anyhttp.cookiejar import CookieJar


@dataclass(frozen=True, slots=True)
class ClientTimeout:
    """Time limits of a request."""

    total: Any = None
    connect: Any = None
    sock_read: Any = None
    sock_connect: Any = None


@dataclass(frozen=True, slots=True)
class ClientWSTimeout:
    """Time limits of a WebSocket."""

    ws_receive: float | None = None
    ws_close: float | None = None


class BasicAuth(NamedTuple):
    """Credentials."""

    login: str
    password: str
    encoding: str = "latin1"

    def encode(self) -> str:
        """Return the value of the header."""
        return encode_basic_auth(self.login, self.password, self.encoding)


class Bearer(BasicAuth):
    """Credentials of another kind, as programs derive them."""

    def encode(self) -> str:
        """Return the value of the header."""
        return f"Bearer {self.password}"


class HttpVersion(NamedTuple):
    """A version."""

    major: int
    minor: int


@dataclass
class Fingerprint:
    """A digest."""

    fingerprint: bytes = b""

    def check(self, transport: object) -> None:
        """Exist."""


class Strict(Fingerprint):
    """One that compares more than the digest."""

    def check(self, transport: object) -> None:
        """Exist."""


class TraceConfig:
    """Handlers: lists that are not signals of this package."""

    def __init__(self, request_context: Callable[..., Any] = SimpleNamespace) -> None:
        self._request_context = request_context
        self.frozen = False

    def trace_config_ctx(self, trace_request_ctx: object = None) -> Any:
        """Return the context of a request."""
        return self._request_context(trace_request_ctx=trace_request_ctx)

    def freeze(self) -> None:
        """Note that."""
        self.frozen = True


# Those of aiohttp's configurations.
_NOT_THERE = re.compile("on_request_retry|on_response_end|on_connection_tls_.*")
for _name in [each for each in vars(OwnTraceConfig) if each.startswith("on_")]:
    if not _NOT_THERE.fullmatch(_name):
        setattr(TraceConfig, _name, ())


class Jar:
    """A cookie jar that is not derived from the base of this package."""

    quote_cookie = True

    def __init__(self) -> None:
        self.jar = CookieJar(unsafe=True)


def _passed_on(name: str) -> Callable[..., Any]:
    def call(self: Jar, *args: Any) -> Any:
        return getattr(self.jar, name)(*args)

    return call


for _name in (
    "__iter__",
    "__len__",
    "clear",
    "clear_domain",
    "filter_cookies",
    "update_cookies",
    "update_cookies_from_headers",
):
    setattr(Jar, _name, _passed_on(_name))


class StreamReader:
    """A body that is received; iterating over it gives lines."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield what there is."""
        for piece in self.pieces:
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise ValueError("a line is too long")
        yield b""

    iter_chunked = readany = readexactly = at_eof = iter_any


class Payload:
    """A body that writes itself."""

    filename = encoding = None
    content_type = "text/x"
    consumed = False
    autoclose = True
    size: int | None = None
    headers: Any = None

    def __init__(self, write: Callable[[Any], Awaitable[None]], size: int | None = None) -> None:
        self.size = size
        self.headers = CIMultiDict({"Content-Type": self.content_type})
        self.closed = 0
        self._write = write

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        """Write all of it."""
        await self._write(writer)

    async def write(self, writer: Any) -> None:
        """Write all of it."""
        await self._write(writer)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return nothing that is sent."""
        return b"as bytes"

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return nothing that is sent."""
        return "decoded"

    def set_content_disposition(self, disptype: str, **params: str) -> None:
        """Exist."""

    async def close(self) -> None:
        """Count."""
        self.closed += 1


class MultipartWriter(Payload):
    """A body of several parts, of which it writes the first."""

    boundary = "line"

    def __init__(self, *parts: Payload) -> None:
        super().__init__(parts[0].write)
        self.parts = parts

    def append_payload(self) -> None:
        """Exist."""

    def __iter__(self) -> Iterator[tuple[Payload, str, str]]:
        return iter([(part, "", "") for part in self.parts])


class FormData:
    """A form that makes a body."""

    is_multipart = False

    def __init__(self, body: object) -> None:
        self.body = body

    def add_field(self) -> None:
        """Exist."""

    def add_fields(self) -> None:
        """Exist."""

    def __call__(self) -> object:
        return self.body
