"""Whatever the arguments: one request goes out that strict readers take for one, or none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from hypothesis import example, given, strategies as st
from yarl import URL

from anyhttp import (
    BaseConnector,
    BasicAuth,
    ClientError,
    ClientRequest,
    ClientSession,
    ClientTimeout,
    FormData,
)
from tests.support.engines import NAMES
from tests.support.examples import examples
from tests.support.server_parsers import read_by_h11, read_by_llhttp

REPLY = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
FIRST_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Z]+ [^\x00-\x20\x7f]+ HTTP/1\.1")
METHOD = re.compile(rb"(?:GET|POST) ")
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([^\x00-\x08\x0a-\x1f\x7f]*)")

# What means something somewhere between here and there.
PIECES = [
    *("a", "0", " ", "\t", "\r", "\n", "\r\n", "\r\n\r\n", "\x00", "\x0b", "\x1b", "\x7f"),
    *(":", ";", ",", "=", "&", "?", "#", "/", "\\", '"', "'", "@", "%", "[", "]", "-", "."),
    *("\x85", "\u2028", "\N{LATIN SMALL LETTER E WITH ACUTE}", "\udc80", "\ud800", "\uff0f"),
    *("%0d%0a", "%00", "%20", "%", "%zz", "\r\nEvil: 1", "\nEvil: 1", "Evil", "chunked", "\ufeff"),
]
texts = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


class Recorder(ByteStream):
    """A stream that keeps what is sent, and has one answer."""

    def __init__(self, sent: bytearray) -> None:
        self._sent = sent
        self._left = [REPLY]

    async def send(self, item: bytes) -> None:
        """Keep it."""
        await anyio.lowlevel.checkpoint()
        self._sent += item

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return the answer, then the end."""
        await anyio.lowlevel.checkpoint()
        if not self._left:
            raise anyio.EndOfStream
        return self._left.pop()

    async def send_eof(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


class Recorders(BaseConnector):
    """Connects to a :class:`Recorder`."""

    def __init__(self, http1: str) -> None:
        super().__init__(http1=http1)
        self.sent = bytearray()

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[object], timeout: ClientTimeout
    ) -> ByteStream:
        return Recorder(self.sent)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, Any, dict[str, Any]]:
    """Return a method, a URL and options, most of them strange."""
    method, url = "POST", "http://host.test/"
    options: dict[str, Any] = {}
    strange = draw(st.sets(st.sampled_from(list(STRANGE)), min_size=1, max_size=3))
    for kind in sorted(strange):
        text = draw(texts)
        if kind == "method":
            method += text
        elif kind == "url":
            url = draw(st.sampled_from(["http://{}host.test/", "http://host.test/{}", "{}"]))
            url = url.format(text)
        elif kind == "encoded":
            return "GET", f"http://host.test/{text}", {"encoded": True}
        else:
            STRANGE[kind](options, text)
    return method, url, options


def _header(options: dict[str, Any], text: str) -> None:
    options.setdefault("headers", []).append(("X-A", text))


def _name(options: dict[str, Any], text: str) -> None:
    options.setdefault("headers", []).append((f"X{text}", "a"))


def _form(options: dict[str, Any], text: str) -> None:
    options["form"] = [(text, "a"), ("a", text)]


STRANGE: dict[str, Any] = {
    "method": None,
    "url": None,
    "encoded": None,
    "header": _header,
    "name": _name,
    "form": _form,
    "file": lambda options, text: options.update(file=text),
    "json": lambda options, text: options.update(text={text: text}),
    "cookie": lambda options, text: options.update(cookies={"a": text}),
    "cookie name": lambda options, text: options.update(cookies={text: "a"}),
    "params": lambda options, text: options.update(params={text: text}),
    "query": lambda options, text: options.update(params=text),
    "auth": lambda options, text: options.update(login=text),
}


async def make(session: ClientSession, method: str, url: str, options: dict[str, Any]) -> None:
    """Make the request that was drawn."""
    options = dict(options)
    target: str | URL = url
    if options.pop("encoded", False):
        target = URL(url, encoded=True)
    if "form" in options:
        options["data"] = FormData(options.pop("form"))
    if "file" in options:
        form = FormData()
        name = options.pop("file")
        form.add_field("a", b"b", filename=name, content_type=f"a/{name}")
        options["data"] = form
    if "text" in options:
        options["data"] = str(options.pop("text"))
    if "login" in options:
        options["auth"] = BasicAuth(options["login"], options.pop("login"))
    async with session.request(method, target, **options):
        pass


def check(sent: bytes) -> None:
    """Assert that *sent* is one request, by a reader that knows nothing of the client."""
    head, end, body = sent.partition(b"\r\n\r\n")
    assert end
    first, *lines = head.split(b"\r\n")
    assert FIRST_LINE.fullmatch(first)
    fields = [FIELD.fullmatch(line) for line in lines]
    assert all(fields)
    found = {field[1].lower(): field[2] for field in fields if field}
    assert b"evil" not in found
    assert [name for name in found if name == b"host"] == [b"host"]
    assert not {b"content-length", b"transfer-encoding"} <= found.keys()
    # And by those of h11's server and of llhttp, which has a list of the methods that there are.
    same = [(field[1].lower(), field[2].strip()) for field in fields if field]
    # h11 refuses octets beyond ASCII in a target, which only encoded=True can put there.
    readers = [read_by_h11] if first.isascii() else []
    readers += [read_by_llhttp] if METHOD.match(sent) and first.isascii() else []
    for read in (reader(sent) for reader in readers):
        assert first == b" ".join([read.method, read.target, b"HTTP/" + read.version])
        assert [(name, value.strip()) for name, value in read.fields] == same
        assert read.body == body or b"transfer-encoding" in found
    if b"transfer-encoding" in found:
        assert found[b"transfer-encoding"] == b"chunked"
        assert body.endswith(b"0\r\n\r\n")
    else:
        assert len(body) == int(found.get(b"content-length", b"0"))


@pytest.mark.once
@pytest.mark.parametrize("http1", NAMES)
@given(drawn=requests())
@example(drawn=("POST", "http://host.test/a\r\nEvil: 1", {}))
@example(drawn=("GET", "http://host.test/a\r\nEvil: 1", {"encoded": True}))
@example(drawn=("POST", "http://host.test/", {"headers": [("X", "a\r\nEvil: 1")]}))
async def test_one_request_or_none(http1: str, drawn: tuple[str, Any, dict[str, Any]]) -> None:
    """CVE-2023-49081 and all that followed: nothing that is given can make two of one."""
    method, url, options = drawn
    connector = Recorders(http1)
    async with ClientSession(connector=connector) as session:
        try:
            await make(session, method, url, options)
        except (ClientError, ValueError, TypeError):
            assert not connector.sent
        else:
            check(bytes(connector.sent))


@pytest.mark.once
@examples(60)
@given(drawn=requests())
async def test_one_request_or_none_over_http2(drawn: tuple[str, Any, dict[str, Any]]) -> None:
    """What h2 takes for one, and what could be translated to HTTP/1.1 without another meaning."""
    pytest.importorskip("h2", reason="the server is made with h2")
    from tests.support.http2_client import one_connection
    from tests.support.http2_memory import KeepingServer

    method, url, options = drawn
    server = KeepingServer()
    async with one_connection(server) as (session, _):
        try:
            await make(session, method, url, options)
        except (ClientError, ValueError, TypeError):
            assert not server.fields
            return
    (fields,) = server.fields
    names = sorted(name for name, _ in fields if name.startswith(b":"))
    assert names == [b":authority", b":method", b":path", b":scheme"]
    pseudo = dict(fields)
    assert FIRST_LINE.fullmatch(b"%b %b HTTP/1.1" % (pseudo[b":method"], pseudo[b":path"]))
    for name, value in fields[4:]:
        assert FIELD.fullmatch(name + b": " + value)
        assert name not in {b"evil", b"host", b"connection", b"transfer-encoding"}
    assert len(server.body) == int(pseudo.get(b"content-length", len(server.body)))
