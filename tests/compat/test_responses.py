from __future__ import annotations

import asyncio
import codecs
import json
from types import ModuleType
from typing import Any

from yarl import URL

from tests.compat.comparison import compared, failure, failures, read


def mirrored(session: Any, base: URL, body: bytes, content_type: str) -> Any:
    """Return a request whose response is *body* of that type."""
    return session.post(base / "echo-body", data=body, headers={"Content-Type": content_type})


@compared
async def test_what_a_response_tells(client: ModuleType, base: URL) -> object:
    """Status, reason, version, URLs, type and length are attributes."""
    results: list[object] = []
    async with client.ClientSession() as session:
        for url in (f"{base}json?a=b#c", base / "status" / "404", base / "bytes" / "7"):
            async with session.get(url) as response:
                results.append(
                    (
                        response.status,
                        response.reason,
                        response.ok,
                        response.method,
                        tuple(response.version),
                        str(response.url),
                        str(response.real_url),
                        response.host,
                        response.content_type,
                        response.charset,
                        response.content_length,
                        response.content_disposition,
                        response.history,
                        dict(response.links),
                        dict(response.cookies),
                    )
                )
    return results


@compared
async def test_headers_of_a_response(client: ModuleType, base: URL) -> object:
    """Names are looked up in any case; raw_headers are the bytes that came."""
    async with client.ClientSession() as session:
        async with session.get(base / "json") as response:
            headers = response.headers
            return (
                headers["CONTENT-TYPE"],
                headers.get("content-length"),
                headers.get("absent"),
                headers.getall("Content-Type"),
                list(headers.items()),
                response.raw_headers,
                "content-type" in headers,
                type(headers).__name__,
            )


@compared
async def test_a_body_as_text_bytes_and_json(client: ModuleType, base: URL) -> object:
    """read(), text() and json() return the whole body, as often as they are called."""
    async with client.ClientSession() as session:
        async with session.get(base / "json") as response:
            results = [await response.text(), await response.read(), await response.json()]
            results += [await response.json(), await response.text(), response.get_encoding()]
        results += [await response.text(), await response.json()]
        return results


@compared
async def test_the_charset_of_a_text(client: ModuleType, base: URL) -> object:
    """It comes from the caller, from the header, or is utf-8."""
    results: list[object] = []
    text = "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n"
    async with client.ClientSession() as session:
        for body, content_type in (
            (text.encode(), "text/plain"),
            (text.encode("latin-1"), "text/plain; charset=latin-1"),
            (text.encode("utf-16"), 'text/plain; charset="UTF-16"'),
            (text.encode(), "text/plain; charset=nonsense"),
            (json.dumps(text).encode(), "application/json"),
        ):
            async with mirrored(session, base, body, content_type) as response:
                told = response.charset, response.content_type, await response.text()
                results.append((*told, codecs.lookup(response.get_encoding()).name))
        async with mirrored(session, base, text.encode("latin-1"), "text/plain") as response:
            results.append(await response.text(encoding="latin-1"))
            results.append(await response.text(errors="replace"))
            results.append(await failure(response.text))
        async with mirrored(session, base, b"x", "text/plain") as response:
            results.append(await failure(response.get_encoding))
    return results


@compared
async def test_a_guess_at_the_charset(client: ModuleType, base: URL) -> object:
    """fallback_charset_resolver is asked where no charset is told."""

    def resolve(response: Any, body: bytes) -> str:
        return "latin-1" if b"\xfc" in body else "ascii"

    async with client.ClientSession(fallback_charset_resolver=resolve) as session:
        async with mirrored(session, base, b"gr\xfcn", "text/plain") as response:
            guessed = await response.text(), response.get_encoding()
        async with mirrored(session, base, b'"gr\xc3\xbcn"', "application/json") as response:
            return guessed, await response.json()


@compared
async def test_json_and_its_content_type(client: ModuleType, base: URL) -> object:
    """json() wants a type of JSON, or the one that it is told, or none at all."""
    results: list[object] = []
    async with client.ClientSession() as session:
        for content_type in ("application/json; charset=utf-8", "application/problem+json"):
            async with mirrored(session, base, b'{"a": [1, null]}', content_type) as response:
                results.append(await response.json())
        async with mirrored(session, base, b"[1]", "text/plain") as response:
            results.append(await failure(response.json))
            results.append(await response.json(content_type=None))
            results.append(await response.json(content_type="text/plain"))
            results.append(await response.json(content_type="text"))
            results.append(await response.json(content_type=None, loads=len))
        async with mirrored(session, base, b"{nonsense", "application/json") as response:
            results.append(await failure(response.json))
        async with mirrored(session, base, b'"gr\xfcn"', "application/json") as response:
            results.append(await response.json(encoding="latin-1"))
        for empty in (b"", b"  \n"):
            async with mirrored(session, base, empty, "application/json") as response:
                results.append(await response.json())
    return results


@compared
async def test_what_a_wrong_content_type_tells(client: ModuleType, base: URL) -> object:
    """ContentTypeError has the status, the headers and the request."""
    async with client.ClientSession() as session:
        async with session.get(base / "bytes" / "3") as response:
            try:
                await response.json()
            except client.ContentTypeError as exc:
                return (
                    exc.status,
                    exc.message,
                    exc.headers["Content-Type"],
                    str(exc.request_info.real_url),
                    exc.history,
                    str(exc),
                )
    return "nothing raised"


@compared
async def test_statuses_without_a_body(client: ModuleType, base: URL) -> object:
    """204, 304 and answers to HEAD have none, whatever their headers say."""
    results: list[object] = []
    async with client.ClientSession() as session:
        for request in (
            session.get(base / "status" / "204"),
            session.get(base / "status" / "304"),
            session.head(base / "bytes" / "100"),
            session.head(base / "stream" / "3"),
        ):
            async with request as response:
                results.append((response.status, await response.read(), await response.text()))
    return results


@compared
async def test_encoded_bodies_are_decoded(client: ModuleType, base: URL) -> object:
    """Each encoding that was offered is decoded; the header tells which it was."""
    results: list[object] = []
    async with client.ClientSession() as session:
        for route in ("gzip", "deflate", "deflate-raw"):
            async with session.get(base / route) as response:
                results.append((response.headers.get("Content-Encoding"), await response.json()))
    return results


@compared
async def test_encoded_bodies_may_be_left_alone(client: ModuleType, base: URL) -> object:
    """auto_decompress of a session or a request leaves bodies as they came."""
    async with client.ClientSession(auto_decompress=False) as session:
        packed = await read(session.get(base / "deflate"))
        unpacked = await read(session.get(base / "deflate", auto_decompress=True))
    async with client.ClientSession() as session:
        return packed, unpacked, await read(session.get(base / "deflate", auto_decompress=False))


@compared
async def test_a_stream_in_pieces(client: ModuleType, base: URL) -> object:
    """However a body is cut into pieces, they are the body together."""
    results: list[object] = []
    async with client.ClientSession() as session:
        async with session.get(base / "bytes" / "100000") as response:
            chunked = [chunk async for chunk in response.content.iter_chunked(4096)]
            results += [max(map(len, chunked)) <= 4096, b"".join(chunked)]
        async with session.get(base / "bytes" / "100000") as response:
            results.append(b"".join([chunk async for chunk in response.content.iter_any()]))
        async with session.get(base / "stream" / "20") as response:
            ends = [pair async for pair in response.content.iter_chunks()]
            results.append(b"".join(chunk for chunk, _ in ends))
            results.append(sum(end for chunk, end in ends if chunk))
        async with session.get(base / "stream" / "20") as response:
            results.append([line async for line in response.content])
    return results


@compared
async def test_a_stream_read_by_hand(client: ModuleType, base: URL) -> object:
    """read(n), readexactly(), readline() and readuntil() go on where the one before stopped."""
    async with client.ClientSession() as session:
        async with session.get(base / "stream" / "9") as response:
            content = response.content
            results: list[object] = [
                await content.readexactly(3),
                await content.readline(),
                await content.readuntil(b"}"),
                await content.readline(),
                content.at_eof(),
                len(await content.read(1)),
                await content.read(0),
                await content.readuntil(b"2}\n"),
                await content.read(),
                await content.read(),
                await content.read(5),
                await content.readline(),
                await content.readany(),
                await content.readchunk(),
                content.at_eof(),
                content.is_eof(),
                content.total_bytes,
            ]
        async with session.get(base / "bytes" / "5") as response:
            try:
                await response.content.readexactly(6)
            except asyncio.IncompleteReadError as exc:
                results += [exc.partial, exc.expected]
        async with session.get(base / "bytes" / "5") as response:
            results.append(await failure(response.content.readuntil(b"")))
    return results


@compared
async def test_a_line_that_is_too_long(client: ModuleType, base: URL) -> object:
    """readline() and readuntil() stop at a limit."""
    async with client.ClientSession(read_bufsize=1024) as session:
        results: list[object] = []
        for limits in ({}, {"max_line_length": 100}):
            async with mirrored(session, base, b"x" * 100_000, "text/plain") as response:
                results.append((await failure(response.content.readline(**limits)))[0])
        return results


@compared
async def test_a_response_after_its_block(client: ModuleType, base: URL) -> object:
    """What was read can be asked for later; the rest is gone."""
    async with client.ClientSession() as session:
        async with session.get(base / "bytes" / "10") as response:
            before = response.closed
        async with session.get(base / "json") as other:
            await other.read()
        return (
            before,
            response.closed,
            response.connection,
            response.status,
            await failure(response.read),
            await other.text(),
            other.connection,
        )


@compared
async def test_statuses_that_raise(client: ModuleType, base: URL) -> object:
    """raise_for_status is a method, and an option of the session and of the request."""
    url = base / "status" / "404"
    async with client.ClientSession() as session:
        async with session.get(url) as response:
            results = [await failure(response.raise_for_status), await response.text()]
        async with session.get(base / "status" / "302", allow_redirects=False) as response:
            results.append(await failure(response.raise_for_status))
        results.append(await failure(session.get(url, raise_for_status=True)))
    async with client.ClientSession(raise_for_status=True) as session:
        results.append(await failure(session.get(url)))
        results.append(await failure(session.get(base / "status" / "500")))
        results.append(await read(session.get(url, raise_for_status=False)))
        results.append(await read(session.get(base / "json")))
        results.append(session.raise_for_status)
    return results


@compared
async def test_what_a_status_that_raised_tells(client: ModuleType, base: URL) -> object:
    """ClientResponseError has the status, the reason, the headers and the request."""
    async with client.ClientSession(raise_for_status=True) as session:
        try:
            await session.get(f"{base}status/418?a=b#c")
        except client.ClientResponseError as exc:
            return (
                exc.status,
                exc.message,
                dict(exc.headers),
                exc.history,
                str(exc.request_info.url),
                str(exc.request_info.real_url),
                exc.request_info.method,
                str(exc),
            )
    return "nothing raised"


@compared
async def test_a_function_that_judges_responses(client: ModuleType, base: URL) -> object:
    """An async callable given as raise_for_status sees each response and may raise."""
    judged = []

    async def judge(response: Any) -> None:
        judged.append((response.status, response.method))
        if response.status == 503:
            raise LookupError("not today")

    async with client.ClientSession(raise_for_status=judge) as session:
        results = [
            await read(session.get(base / "status" / "404")),
            await failure(session.get(base / "status" / "503")),
            await read(session.get(base / "status" / "503", raise_for_status=False)),
            await failure(session.get(base / "status" / "503", raise_for_status=True)),
        ]
    return results, judged


@compared
async def test_a_server_that_says_nothing(client: ModuleType, base: URL) -> object:
    """A connection that is closed before the response is an error of the server."""
    async with client.ClientSession() as session:
        return [
            await failure(session.get(base / "close")),
            await failure(session.post(base / "close", data=b"x")),
        ]


@compared
async def test_multipart_responses(client: ModuleType, base: URL) -> object:
    """MultipartReader takes the parts of a response one by one."""
    body = (
        b"--cut\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
        b'--cut\r\nContent-Disposition: form-data; name="n"; filename="f.json"\r\n'
        b"Content-Type: application/json\r\n\r\n[1, 2]\r\n"
        b"--cut\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=b&c=d\r\n--cut--\r\n"
    )
    results: list[object] = []
    async with client.ClientSession() as session:
        async with mirrored(session, base, body, "multipart/mixed; boundary=cut") as response:
            reader = client.MultipartReader.from_response(response)
            part = await reader.next()
            results.append((dict(part.headers), await part.text(), part.name, part.filename))
            part = await reader.next()
            results.append((part.name, part.filename, await part.json()))
            part = await reader.next()
            results += [await part.form(), await reader.next(), reader.at_eof()]
        async with mirrored(session, base, body, "multipart/mixed; boundary=cut") as response:
            reader = client.MultipartReader.from_response(response)
            results.append([bytes(await part.read()) async for part in reader])
        results += await failures(
            lambda content_type: client.MultipartReader({"Content-Type": content_type}, None),
            {"content_type": "multipart/mixed"},
        )
    return results
