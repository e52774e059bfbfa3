from __future__ import annotations

import warnings
from collections.abc import Iterable
from itertools import pairwise
from urllib.parse import unquote

from hypothesis import given, strategies as st

from anyhttp._headers.disposition import (
    content_disposition,
    content_disposition_filename,
    parse_content_disposition,
)
from anyhttp.client_exceptions import ClientPayloadError
from anyhttp.http_exceptions import LineTooLong
from anyhttp.multipart import BodyPartReader, MultipartReader, MultipartWriter
from anyhttp.multipart._encodings import ENCODERS, PartDecoder
from anyhttp.streams import StreamReader

# Bytes that are likely to be taken for something.
tricky = st.lists(
    st.sampled_from(
        [
            *(b"--:", b"\r\n", b"\r", b"\n", b"-", b"--", b":", b"a: b", b"=", b"=4", b"A", b" "),
            *(b"\0", b"Content-Length: 3", b"Content-Type: multipart/x; boundary=q", b"--q"),
        ]
    ),
    max_size=30,
).map(b"".join)
data = st.one_of(st.binary(max_size=200), tricky)
text = st.one_of(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30),
    st.lists(st.sampled_from(["%41", "%", "\\", '"', "'", "a", "ü", " ", ";"])).map("".join),
)


def split(whole: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut *whole* at some places."""
    places = [0, *sorted(cut % (len(whole) + 1) for cut in cuts), len(whole)]
    return [whole[start:end] for start, end in pairwise(places)]


def fed(pieces: Iterable[bytes]) -> StreamReader:
    """A reader that gets *pieces* one by one."""
    reader = StreamReader()
    for piece in pieces:
        reader.feed_data(piece)
    reader.feed_eof()
    return reader


async def outcome(content: StreamReader) -> list[object]:
    """All that is read from a multipart, and how it ends."""
    found: list[object] = []

    async def read(multipart: MultipartReader) -> None:
        async for part in multipart:
            found.append(sorted(part.headers.items()))
            if isinstance(part, BodyPartReader):
                found.append(await part.read())
            else:
                await read(part)

    try:
        await read(MultipartReader({"Content-Type": "multipart/mixed; boundary=:"}, content))
    except (ValueError, LineTooLong) as exc:
        found.append(type(exc))
    return found


@given(tricky, st.lists(st.integers(0, 1000), max_size=20))
async def test_any_split_gives_the_same_parts(body: bytes, cuts: list[int]) -> None:
    """How the bytes happen to arrive changes nothing of what they mean."""
    whole = b"--:\r\n" + body
    assert await outcome(fed(split(whole, cuts))) == await outcome(fed([whole]))
    assert await outcome(fed(split(whole, range(len(whole))))) == await outcome(fed([whole]))


@given(
    st.lists(st.tuples(data, st.sampled_from(["", "gzip", "deflate"]), st.sampled_from(
        ["", "base64", "quoted-printable"])), max_size=4),
    st.lists(st.integers(0, 1000), max_size=20),
)  # fmt: skip
async def test_what_is_written_is_read(
    parts: list[tuple[bytes, str, str]], cuts: list[int]
) -> None:
    """Whatever the bytes and the encodings, a reader gets back what a writer was given."""
    writer = MultipartWriter()
    for body, encoding, te_encoding in parts:
        headers = {"Content-Encoding": encoding, "Content-Transfer-Encoding": te_encoding}
        writer.append(body, {name: value for name, value in headers.items() if value})
    whole = await writer.as_bytes()
    assert writer.size in {None, len(whole)}
    reader = MultipartReader(writer.headers, fed(split(whole, cuts)))
    found = []
    async for part in reader:
        assert isinstance(part, BodyPartReader)
        found.append(await part.read(decode=True))
    assert found == [body for body, _, _ in parts]


@given(data, st.sampled_from(["base64", "quoted-printable"]), st.lists(st.integers(0, 1000)))
def test_any_split_decodes_alike(encoded: bytes, encoding: str, cuts: list[int]) -> None:
    """What is no valid encoding is read, or refused, the same way however it arrives."""

    def decoded(pieces: Iterable[bytes]) -> bytes | None:
        decoder = PartDecoder(encoding, "")
        try:
            out = [piece for fed in pieces for piece in decoder.feed(fed)]
            return b"".join((*out, *decoder.finish()))
        except ClientPayloadError:
            return None

    assert decoded(split(encoded, cuts)) == decoded([encoded])


@given(data, st.sampled_from(sorted(ENCODERS)), st.lists(st.integers(0, 1000)))
def test_any_split_encodes_alike(plain: bytes, encoding: str, cuts: list[int]) -> None:
    """What was encoded in pieces is decoded as one."""
    encoder = ENCODERS[encoding]()
    encoded = b"".join([*map(encoder.feed, split(plain, cuts)), encoder.flush()])
    transfer, content = (encoding, "") if "64" in encoding or "-" in encoding else ("", encoding)
    decoder = PartDecoder(transfer, content)
    assert b"".join([*decoder.feed(encoded), *decoder.finish()]) == plain


@given(text, text, st.booleans())
def test_names_come_back(name: str, filename: str, quote_fields: bool) -> None:
    """A name and a file name survive being written and parsed, slashes in front aside.

    Where fields are quoted, so is each percent sign of a file name, or it would mean something.
    """
    header = content_disposition(
        "form-data", {"name": name, "filename": filename}, quote_fields=quote_fields
    )
    kind, params = parse_content_disposition(header)
    assert kind == "form-data"
    assert content_disposition_filename(params, "name") == name
    found = content_disposition_filename(params)
    assert found is not None
    if quote_fields:
        assert unquote(found) == filename
    else:
        assert found == filename.lstrip("/\\")


@given(st.text(max_size=100), st.lists(st.sampled_from(list("ab*=;'\"\\% 01")), max_size=40))
def test_no_header_breaks_the_parser(noise: str, pieces: list[str]) -> None:
    """A peer's header gives a result or a warning, never an exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for header in (noise, "a;" + "".join(pieces), noise + ";" + "".join(pieces)):
            kind, params = parse_content_disposition(header)
            assert kind or not params
            content_disposition_filename(params, "a")


words = st.lists(st.text("az:;=", min_size=1, max_size=3), max_size=3)
spaces = st.sampled_from(["", " ", "\t", " \t"])
folds = st.sampled_from([" ", "\r\n ", "\r\n\t", " \r\n  "])


@given(
    st.lists(words, max_size=3),
    st.lists(folds, min_size=3, max_size=3),
    spaces,
    spaces,
    st.lists(st.integers(0, 200), max_size=4),
)
async def test_headers_are_read_without_the_spaces_around_them(
    values: list[list[str]], between: list[str], before: str, after: str, cuts: list[int]
) -> None:
    """RFC 5322 §2.2.3: a line that begins with a space belongs to the header before it."""
    body = "--q\r\n"
    for value in values:
        text_of_it = "".join(word + fold for word, fold in zip(value, between, strict=False))
        body += f"X-A:{before}{text_of_it.strip()}{after}\r\n"
    content = fed(split(f"{body}\r\nbody\r\n--q--\r\n".encode(), cuts))
    part = await MultipartReader({"Content-Type": "multipart/x; boundary=q"}, content).next()
    assert isinstance(part, BodyPartReader)
    found = [" ".join(value.split()) for value in part.headers.getall("X-A", [])]
    assert found == [" ".join(value) for value in values]
    assert all(value == value.strip(" \t") for value in part.headers.values())
    assert await part.read() == b"body"
