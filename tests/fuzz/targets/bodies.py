"""Bodies: content codings, multiparts, and server-sent events."""

from __future__ import annotations

import asyncio
import warnings
import zlib
from collections.abc import Iterable
from typing import Any, Final

from anyhttp import ClientPayloadError
from anyhttp._codings import DecodingError, decoder_for
from anyhttp._event_stream import EventStream
from anyhttp._headers import BadContentDispositionHeader, BadContentDispositionParam
from anyhttp.http_exceptions import LineTooLong
from anyhttp.multipart import BodyPartReader, MultipartReader
from anyhttp.streams import StreamReader
from tests.fuzz.target import target
from tests.support.engines import splits

# -- content codings

_CODINGS: Final = (
    *("gzip", "deflate", "br", "zstd", "gzip, gzip", "br, gzip", "zstd, deflate", "deflate, br"),
    "gzip, br, zstd, deflate, gzip",
)

#: How much is decoded of one input, in bytes, and in how many steps at most: each takes something,
#: returns something, or asks for more.
_ENOUGH: Final = 256 * 1024
_STEPS: Final = 20_000

_REFUSED: Final = "refused"
_COMPLETE: Final = "complete"
_LARGE: Final = "large"


def _decoded(coding: str, pieces: Iterable[bytes], limit: int) -> tuple[bytes, str]:
    """Return what *pieces* decode to, and how that has ended."""
    decoder = decoder_for(coding)
    assert decoder is not None, coding
    output = bytearray()
    steps = 0
    try:
        for piece in pieces:
            decoder.feed(piece)
            while not decoder.needs_input:
                steps += 1
                assert steps < _STEPS
                some = decoder.step(limit)
                assert len(some) <= limit
                output += some
                if len(output) > _ENOUGH:
                    return bytes(output), _LARGE
        decoder.finish()
    except DecodingError:
        return bytes(output), _REFUSED
    return bytes(output), _COMPLETE


def _gunzipped(encoded: bytes) -> bytes:
    """Return what zlib makes of one member after the other: the module gzip lets flags pass."""
    output = b""
    while encoded:
        member = zlib.decompressobj(31)
        output += member.decompress(encoded)
        if not member.eof:
            raise EOFError
        encoded = member.unused_data
    return output


@target(calls=400, memory=4000)
def codings(data: bytes) -> None:
    """Any split decodes alike, in steps that return little; the first byte tells the coding."""
    coding, encoded = _CODINGS[(data[:1] or b"\0")[0] % len(_CODINGS)], data[1:]
    if not encoded:
        return
    whole, end = _decoded(coding, [encoded], 64 * 1024)
    for pieces in splits(encoded, 1):
        for limit in (1000, 64 * 1024):
            output, outcome = _decoded(coding, pieces, limit)
            # libzstd compares the size that a frame announces if it gets the frame as a whole.
            if _LARGE not in {outcome, end} and coding != "zstd":
                assert outcome == end
            size = min(len(output), len(whole))
            assert output[:size] == whole[:size]
            assert outcome != _COMPLETE or end != _COMPLETE or output == whole
    if coding in {"gzip", "deflate"}:
        reference = _gunzipped if coding == "gzip" else zlib.decompress
        try:
            expected = reference(encoded)
        except (EOFError, zlib.error):  # bytes after the end are no error for us
            return
        assert end in {_COMPLETE, _LARGE}
        assert expected[: len(whole)] == whole


# -- multiparts


async def _parts(pieces: Iterable[bytes], kind: str) -> list[object]:
    """Return all that is read from a multipart, and how that ends."""
    content = StreamReader()
    for piece in pieces:
        content.feed_data(piece)
    content.feed_eof()
    found: list[object] = []
    headers = {"Content-Type": f"multipart/{kind}; boundary=:"}
    try:
        await _read(MultipartReader(headers, content, max_field_size=60, max_headers=4), found)
    except (ValueError, LineTooLong, RuntimeError) as exc:
        found.append(type(exc))
    return found


async def _read(multipart: MultipartReader, found: list[object]) -> None:
    async for part in multipart:
        found.append(list(part.headers.items()))
        if isinstance(part, MultipartReader):
            await _read(part, found)
            continue
        found += [part.name, part.filename, part.get_charset()]
        body = await part.read()
        found.append(body)
        found.append(_decoded_part(part, body))


def _decoded_part(part: BodyPartReader, body: bytes) -> object:
    try:
        return part.decode(body)
    except (ClientPayloadError, RuntimeError) as exc:
        return type(exc)


@target(calls=3000, memory=4000)
def multipart(data: bytes) -> None:
    """Any split gives the same parts, or the same error; the first byte tells the kind."""
    kind, body = ("form-data" if data[:1] == b"f" else "mixed"), data[1:]
    if not body:
        return
    with warnings.catch_warnings(), asyncio.Runner() as runner:
        for category in (BadContentDispositionHeader, BadContentDispositionParam):
            warnings.simplefilter("ignore", category)
        first, *others = [runner.run(_parts(pieces, kind)) for pieces in splits(body, 1)]
    for other in others:
        assert other == first
    assert sum(len(one) for one in first if isinstance(one, bytes)) <= 1200 * len(body)


# -- server-sent events


def _events(pieces: Iterable[bytes], limit: int) -> list[Any]:
    stream = EventStream(limit, "it")
    found: list[Any] = []
    try:
        for piece in pieces:
            stream.feed(piece)
            while (event := stream.next_event()) is not None:
                found.append(event)
    except LineTooLong:
        found.append(LineTooLong)
    else:
        found.append((stream.last_event_id, stream.reconnection_time))
    return found


@target(calls=200)
def event_stream(data: bytes) -> None:
    """Any split gives the same events; the first byte tells the limit of their size."""
    limit, body = (data[:1] or b"\0")[0] or 10_000, data[1:]
    if not body:
        return
    first, *others = [_events(pieces, limit) for pieces in splits(body)]
    for other in others:
        assert other == first
    for event in first[:-1]:
        assert len(event.data) <= limit
        assert "\r" not in event.data
        assert not {"\r", "\n"} & {*event.type, *event.id}
        assert "\0" not in event.id
