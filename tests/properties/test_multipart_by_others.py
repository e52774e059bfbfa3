"""Forms as parsers that others wrote read them, and what others write as it is read here."""

from __future__ import annotations

import email
import io
from collections.abc import AsyncGenerator, Iterable
from email.encoders import encode_base64
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from itertools import pairwise
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import given, strategies as st
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartParser
from werkzeug.formparser import FormDataParser

from anyhttp import FormData
from anyhttp.multipart import BodyPartReader, MultipartReader, MultipartWriter
from anyhttp.streams import StreamReader
from tests.support.examples import examples


class Part(NamedTuple):
    """A part of a form; a field has no file name."""

    name: str
    filename: str | None
    data: bytes


# Without what others take for an escape, as they do not agree on a backslash and on quotes; and
# without slashes, of which those in front of a file name are not read.
characters = st.one_of(
    st.sampled_from("ab;=,:'%+*() -."),
    st.characters(exclude_categories=["C", "Z"], exclude_characters='"\\/'),
)
names = st.text(characters, min_size=1, max_size=8).filter(lambda text: text.strip() == text)
ends = st.lists(
    st.sampled_from([b"\r\n", b"--", b"-", b"\r", b"\n", b"a", b"\0", b"\xff", b": ", b"a: b"]),
    max_size=12,
).map(b"".join)
fields = st.builds(Part, names, st.none(), st.text(max_size=20).map(str.encode))
files = st.builds(Part, names, names, st.one_of(st.binary(max_size=60), ends))
forms = st.lists(st.one_of(fields, files), min_size=1, max_size=5)
cuts = st.lists(st.integers(0, 1000), max_size=8)


async def written(form: list[Part]) -> tuple[str, bytes]:
    """Return boundary and body of *form*."""
    # File names as browsers write them, and not percent-encoded.
    data = FormData(quote_fields=False, default_to_multipart=True)
    for part in form:
        if part.filename is None:
            data.add_field(part.name, part.data.decode())
        else:
            data.add_field(part.name, part.data, filename=part.filename, content_type="a/b")
    body = data()
    assert isinstance(body, MultipartWriter)
    whole = await body.as_bytes()
    assert body.size == len(whole)
    return body.boundary, whole


def by_werkzeug(boundary: str, body: bytes) -> list[Part]:
    """Read a form as Flask does."""
    _, fields, files = FormDataParser(silent=False).parse(
        io.BytesIO(body), "multipart/form-data", len(body), {"boundary": boundary}
    )
    found = [Part(name, None, value.encode()) for name, value in fields.items(multi=True)]
    for name, file in files.items(multi=True):
        found.append(Part(name, file.filename, file.read()))
        file.close()
    return found


async def by_starlette(boundary: str, body: bytes, pieces: Iterable[bytes]) -> list[Part]:
    """Read a form as FastAPI does, by python-multipart."""

    async def stream() -> AsyncGenerator[bytes, None]:
        for piece in pieces:
            yield piece

    headers = Headers({"Content-Type": f"multipart/form-data; boundary={boundary}"})
    found = []
    form = await MultiPartParser(headers, stream()).parse()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            found.append(Part(name, value.filename, await value.read()))
        else:
            found.append(Part(name, None, value.encode()))
    await form.close()
    return found


def by_email(boundary: str, body: bytes) -> list[Part]:
    """Read a form as a message with attachments."""
    head = f"Content-Type: multipart/form-data; boundary={boundary}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body)
    assert not message.defects
    found = []
    for part in message.get_payload():
        assert isinstance(part, Message)
        payload: Any = part.get_payload(decode=True)
        name: Any = part.get_param("name", header="content-disposition")
        found.append(Part(name, part.get_filename(), payload))
    return found


def split(whole: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut *whole* at some places."""
    ordered = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [whole[start:end] for start, end in pairwise(ordered)]


def by_name(form: Iterable[Part]) -> list[Part]:
    """Return the parts, fields first, by their names: Flask keeps no other order."""
    return sorted(form, key=lambda part: (part.filename is not None, part.name))


@pytest.mark.once
@examples(60)
@given(form=forms, places=cuts)
async def test_others_read_the_form_that_was_meant(form: list[Part], places: list[int]) -> None:
    """RFC 7578: names, file names and data, to the byte."""
    boundary, body = await written(form)
    assert by_name(by_werkzeug(boundary, body)) == by_name(form)
    assert await by_starlette(boundary, body, split(body, places)) == form
    if all(f"{part.name}{part.filename}".isascii() for part in form):
        assert by_email(boundary, body) == form


async def by_us(content_type: str, body: bytes, places: Iterable[int]) -> list[Part]:
    """Read a form that others wrote."""
    stream = StreamReader()
    for piece in split(body, places):
        stream.feed_data(piece)
    stream.feed_eof()
    found = []
    async for part in MultipartReader({"Content-Type": content_type}, stream):
        assert isinstance(part, BodyPartReader)
        assert part.name is not None
        found.append(Part(part.name, part.filename, bytes(await part.read(decode=True))))
    return found


@pytest.mark.once
@examples(60)
@given(form=forms, places=cuts)
async def test_what_others_write_is_read(form: list[Part], places: list[int]) -> None:
    """Forms of httpx, and messages of Python's email package with its encodings."""
    request = httpx.Request(
        "POST",
        "http://host.test/",
        files=[
            (part.name, (part.filename, part.data, "a/b") if part.filename else (None, part.data))
            for part in form
        ],
    )
    assert await by_us(request.headers["Content-Type"], request.read(), places) == form

    message = MIMEMultipart("form-data")
    for number, part in enumerate(form):
        attachment = MIMEBase("application", "octet-stream")
        attachment.set_payload(part.data)
        encode_base64(attachment)
        attachment.add_header(
            "Content-Disposition", "form-data", name=str(number), filename=("utf-8", "", part.name)
        )
        message.attach(attachment)
    head, _, body = message.as_bytes(policy=message.policy.clone(linesep="\r\n")).partition(
        b"\r\n\r\n"
    )
    boundary = message.get_boundary()
    assert head
    found = await by_us(f'multipart/form-data; boundary="{boundary}"', body, places)
    assert found == [Part(str(number), part.name, part.data) for number, part in enumerate(form)]
