from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

from multidict import MultiDict
from yarl import URL

from tests.compat.comparison import compared, failure, read, seen

GREEN = "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n"


@compared
async def test_bodies_of_each_type(client: ModuleType, base: URL) -> object:
    """The type of what is given decides about framing and Content-Type."""
    async with client.ClientSession() as session:
        return [
            await seen(session.post(base / "echo", data=data))
            for data in (
                {"key1": "value1", "key2": "value 2"},
                {GREEN: "&=+ %"},
                [("key", "value1"), ("key", "value2")],
                (("key", "value"),),
                MultiDict([("a", "1"), ("a", "2")]),
                {},
                "text",
                GREEN,
                "",
                b"bytes",
                b"",
                bytearray(b"array"),
                memoryview(b"view"),
                io.BytesIO(b"in memory"),
                io.StringIO(GREEN),
            )
        ]


@compared
async def test_json_bodies(client: ModuleType, base: URL) -> object:
    """Anything that is JSON can be given, false values too, and headers of one's own win."""
    async with client.ClientSession() as session:
        values: list[object] = [{"key": [1, 2.5, None, True]}, [], {}, 0, False, "", GREEN, None]
        results = [await seen(session.post(base / "echo", json=value)) for value in values]
        headers = {"content-type": "application/vnd.api+json"}
        results.append(await seen(session.patch(base / "echo", json={}, headers=headers)))
        results.append(await seen(session.get(base / "echo", json={"query": 1})))
        return results


@compared
async def test_a_content_type_of_ones_own(client: ModuleType, base: URL) -> object:
    """The headers of the request win over the type of the body."""
    async with client.ClientSession() as session:
        return [
            await seen(session.post(base / "echo", data=data, headers={"Content-Type": "text/x"}))
            for data in (b"bytes", "text", {"a": "b"}, io.BytesIO(b"in memory"), None)
        ]


@compared
async def test_verbs_and_bodies(client: ModuleType, base: URL) -> object:
    """A body may go with each verb."""
    async with client.ClientSession() as session:
        return [
            await seen(session.request(verb, base / "echo", data=data))
            for verb in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER")
            for data in (None, b"", b"body")
        ]


@compared
async def test_a_file_is_streamed(client: ModuleType, base: URL, tmp_path: Path) -> object:
    """An open file is sent from where it stands."""
    path = tmp_path / "data.json"
    path.write_bytes(b"0123456789" * 50_000)
    text = tmp_path / "text.txt"
    text.write_text(GREEN, encoding="utf-8")
    results: list[object] = []
    async with client.ClientSession() as session:
        with path.open("rb") as file:
            results.append(await read(session.post(base / "upload", data=file)))
        with path.open("rb") as file:
            file.seek(499_990)
            results.append(await seen(session.put(base / "echo", data=file)))
        with text.open(encoding="utf-8") as lines:
            results.append(await read(session.post(base / "upload", data=lines)))
    return results


@compared
async def test_a_generator_is_streamed(client: ModuleType, base: URL) -> object:
    """What an async generator yields goes out in chunks, or up to the length that is told."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one", b"", b"two" * 50_000):
            yield piece

    async def few() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async with client.ClientSession() as session:
        return [
            await read(session.post(base / "upload", data=pieces())),
            await seen(session.post(base / "echo", data=few())),
            await seen(session.post(base / "echo", data=few(), headers={"Content-Length": "2"})),
            await seen(session.post(base / "echo", data=few(), headers={"Content-Type": "a/b"})),
            await seen(session.post(base / "echo", data=client.AsyncIterablePayload(few()))),
        ]


@compared
async def test_a_response_is_a_body(client: ModuleType, base: URL) -> object:
    """The stream of one response can be sent in the next request."""
    async with client.ClientSession() as session:
        async with session.get(base / "bytes" / "300000") as response:
            return await read(session.post(base / "upload", data=response.content))


@compared
async def test_chunked_on_demand(client: ModuleType, base: URL) -> object:
    """chunked=True frames a body in chunks whose length is known."""
    async with client.ClientSession() as session:
        return [
            await seen(session.post(base / "echo", data=b"bytes", chunked=True)),
            await seen(session.post(base / "echo", data={"a": "b"}, chunked=True)),
            await seen(session.post(base / "echo", json=[1], chunked=None)),
        ]


@compared
async def test_compressed_bodies(client: ModuleType, base: URL) -> object:
    """The option compress encodes; what was encoded before has a header by hand."""
    async with client.ClientSession() as session:
        results: list[object] = []
        for compress in (True, "deflate", "gzip", False, None):
            async with session.post(base / "echo", data=b"a" * 500, compress=compress) as response:
                echo = await response.json()
                names = ("content-encoding", "transfer-encoding", "content-length")
                results.append([pair for pair in echo["headers"] if pair[0].lower() in names])
        by_hand = {"Content-Encoding": "deflate"}
        results.append(await seen(session.post(base / "echo", data=b"x", headers=by_hand)))
        results.append(await seen(session.post(base / "echo", compress=True)))
        return results


@compared
async def test_forms_that_are_urlencoded(client: ModuleType, base: URL) -> object:
    """Without a file a form is urlencoded, in the charset that it is told."""
    form = client.FormData({"a": "1"})
    form.add_field("b", GREEN)
    form.add_fields(("c", "3"), MultiDict([("d", "4"), ("d", "5")]))
    latin = client.FormData([("name", GREEN)], charset="latin-1")
    async with client.ClientSession() as session:
        return [
            await seen(session.post(base / "echo", data=form)),
            await seen(session.post(base / "echo", data=form)),
            await seen(session.post(base / "echo", data=latin)),
            form.is_multipart,
        ]


@compared
async def test_forms_with_files(client: ModuleType, base: URL, tmp_path: Path) -> object:
    """A file makes a form multipart; name and type of each part can be told."""
    path = tmp_path / "report.csv"
    path.write_bytes(b"a,b\n1,2\n")
    async with client.ClientSession() as session:
        form = client.FormData()
        with path.open("rb") as first, path.open("rb") as second, path.open("rb") as third:
            form.add_field("file", first, filename="r\u00e9port 1.xls", content_type="a/b")
            form.add_field("plain", second)
            form.add_field("text", GREEN, content_type="text/html; charset=utf-8")
            form.add_field("bytes", b"\x00\xff", filename="raw")
            form.add_field('q"uoted', "v", filename="a;b")
            form.add_field("memory", io.BytesIO(b"memory"), filename="m.txt")
            results = [await seen(session.post(base / "echo", data=form)), form.is_multipart]
            results.append(await seen(session.post(base / "echo", data={"f": third, "a": "b"})))
        with path.open("rb") as file:
            results.append(await seen(session.post(base / "echo", data=client.FormData(file))))
        unquoted = client.FormData(quote_fields=False)
        unquoted.add_field(GREEN, "v", filename=GREEN)
        results.append(await seen(session.post(base / "echo", data=unquoted)))
        plain = client.FormData([("a", GREEN), ("c", "d")], default_to_multipart=True)
        results.append(await seen(session.post(base / "echo", data=plain)))
        return results


@compared
async def test_multipart_bodies(client: ModuleType, base: URL) -> object:
    """MultipartWriter takes text, bytes, JSON, forms, and other writers."""
    with client.MultipartWriter("mixed", boundary="cut") as writer:
        writer.append("text")
        writer.append(b"bytes", {"X-Part": "2"})
        writer.append_json({"a": 1})
        writer.append_form([("a", "b"), ("c", "d")])
        with client.MultipartWriter("related", boundary="inner") as inner:
            inner.append("deep")
        writer.append(inner)
        part = writer.append(b"attached", {"Content-Type": "image/gif"})
        part.set_content_disposition("attachment", filename="a b.gif")
    async with client.ClientSession() as session:
        return [
            await seen(session.post(base / "echo", data=writer)),
            len(writer),
            writer.boundary,
            writer.size,
            writer.content_type,
        ]


@compared
async def test_encoded_parts(client: ModuleType, base: URL) -> object:
    """The headers of a part decide how it is encoded."""
    with client.MultipartWriter("mixed", boundary="cut") as writer:
        writer.append(b"\x00\x01" * 40, {"Content-Transfer-Encoding": "base64"})
        # of one line: aiohttp breaks long ones with a bare LF
        writer.append("a=b " * 5, {"Content-Transfer-Encoding": "quoted-printable"})
        writer.append("deflated", {"Content-Encoding": "deflate"})
    async with client.ClientSession() as session:
        return await seen(session.post(base / "echo", data=writer))


@compared
async def test_a_generator_that_fails(client: ModuleType, base: URL) -> object:
    """What a body raises becomes the error of the request."""

    async def lines() -> AsyncIterator[bytes]:
        yield b"one"
        raise LookupError("no more")

    async def disk() -> AsyncIterator[bytes]:
        yield b"one"
        raise OSError(5, "broken disk")

    async with client.ClientSession() as session:
        return [
            await failure(session.post(base / "upload", data=lines())),
            await failure(session.post(base / "upload", data=disk())),
        ]


@compared
async def test_payloads_by_hand(client: ModuleType, base: URL) -> object:
    """A payload tells its type, its size, and the headers that it brings."""
    payloads = (
        client.BytesPayload(b"bytes"),
        client.BytesPayload(b"bytes", content_type="image/png", filename="a.png"),
        client.StringPayload(GREEN),
        client.StringPayload(GREEN, encoding="latin-1"),
        client.StringPayload(GREEN, content_type="text/csv; charset=latin-1"),
        client.JsonPayload({"a": GREEN}),
        client.BytesIOPayload(io.BytesIO(b"memory")),
        client.get_payload("text"),
        client.PAYLOAD_REGISTRY.get(b"bytes"),
    )
    async with client.ClientSession() as session:
        return [
            (
                payload.content_type,
                payload.size,
                payload.encoding,
                payload.filename,
                sorted(payload.headers.items()),
                payload.decode() if payload.encoding != "latin-1" else None,
                await seen(session.post(base / "echo", data=payload)),
            )
            for payload in payloads
        ]


@compared
async def test_payloads_of_ones_own(client: ModuleType, base: URL) -> object:
    """A subclass says what is written, and is closed when the request is over."""
    closed: list[str] = []

    class Greeting(client.Payload):  # type: ignore[misc, name-defined]  # of either package
        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
            raise NotImplementedError

        async def write(self, writer: Any) -> None:
            await writer.write(b"hello ")
            await writer.write(self._value.encode())

        async def close(self) -> None:
            closed.append(self._value)

    class Sized(Greeting):
        @property
        def size(self) -> int:
            return 11

    async with client.ClientSession() as session:
        results: list[object] = [
            await seen(session.post(base / "echo", data=body, **options))
            for body, options in (
                (Greeting("world", content_type="text/x"), {}),
                (Sized("world", headers={"X-A": "b"}), {}),
                (Greeting("world"), {"headers": {"Content-Length": "8"}}),
            )
        ]
        body = Sized("redirected")
        url = (base / "redirect-to").with_query(url="/redirect-to", status=307)
        results.append(await failure(session.post(url, data=body, max_redirects=1)))
    return results, sorted(set(closed))  # aiohttp may close twice
