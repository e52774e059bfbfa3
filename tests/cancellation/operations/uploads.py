"""Uploads of each kind."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import ClientRequest, ClientSession
from anyhttp.payload import Writer, streamer
from tests.cancellation.stage import Stage, add, new_session, operation, pieces

LARGE = b"x" * 300_000


async def _upload(options: dict[str, Any], bare: bool, _: Stage, session: ClientSession) -> None:
    """Head, body in pieces by a task of its own, and the answer after it."""
    if bare:
        response = await session.post("/upload", data=pieces(), **options)
        try:
            assert response.status == 200
            await response.read()
        finally:
            response.close()
    else:
        async with session.post("/upload", data=pieces(), **options) as response:
            await response.read()


_KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "expect100": {"expect100": True},
    "compress": {"compress": "gzip"},
    "cut-short": {"headers": {"Content-Length": "1000"}},
}
for _name, _options in _KINDS.items():
    for _bare in (False, True):
        _deed = partial(_upload, _options, _bare)
        add(f"upload-{_name}-{'await' if _bare else 'block'}", _deed, unentered=True)


@operation(unentered=True)
async def answered_meanwhile(stage: Stage, session: ClientSession) -> None:
    """The response is read, and then left, while the request is still being sent."""
    async with session.post("/echo-body", data=pieces(5)) as response:
        await response.content.readany()


def _bodies(stage: Stage) -> dict[str, Any]:
    path = stage.folder / "body"
    path.write_bytes(LARGE)
    form = anyhttp.FormData({"a": "1"})
    form.add_field("file", io.BytesIO(LARGE), filename="f")
    return {
        "bytes": LARGE,
        "json": anyhttp.JsonPayload({"a": 1}),
        "memory": io.BytesIO(LARGE),
        "text": io.StringIO("text" * 1000),
        "file": path.open("rb"),
        "text-file": path.open("r"),
        "form": form,
        "urlencoded": {"a": "1"},
        "streamer": _streamed(3),
        "iterator": iter([b"one", b"two"]),
    }


async def _write(writer: Writer, count: int) -> None:
    for _ in range(count):
        await anyio.lowlevel.checkpoint()
        await writer.write(b"piece")


with pytest.deprecated_call():
    _streamed = streamer(_write)


async def _send(kind: str, stage: Stage, session: ClientSession) -> None:
    bodies = _bodies(stage)
    body = bodies.pop(kind)
    for other in bodies.values():
        if hasattr(other, "close") and not isinstance(other, anyhttp.Payload):
            other.close()
    async with session.post("/upload", data=body) as response:
        assert (await response.json())["length"] > 2


for _kind in (
    "bytes", "json", "memory", "text", "file", "text-file", "form", "urlencoded", "streamer",
    "iterator",
):  # fmt: skip
    add(f"send-{_kind}", partial(_send, _kind), unentered=True)


@operation(unentered=True)
async def multipart_of_parts(stage: Stage, session: ClientSession) -> None:
    """One part comes from a stream, one is multipart itself, one from a response."""
    with anyhttp.MultipartWriter("mixed") as writer:
        writer.append(pieces())
        with anyhttp.MultipartWriter("mixed") as inner:
            inner.append("text")
        writer.append(inner)
        async with session.get("/bytes/70000") as source:
            writer.append(source.content)
            async with session.post("/upload", data=writer) as response:
                assert (await response.json())["length"] > 70_000


@operation(unentered=True)
async def forwarded_parts(stage: Stage, session: ClientSession) -> None:
    """Each part of a response is the body of a request."""
    async with session.get("/multipart") as source:
        async for part in anyhttp.MultipartReader.from_response(source):
            if isinstance(part, anyhttp.BodyPartReader):
                async with session.post("/upload", data=part) as response:
                    await response.read()


class _Sink:
    """Takes what payloads write."""

    async def write(self, chunk: bytes) -> None:
        await anyio.lowlevel.checkpoint()


@operation()
async def written_by_hand(stage: Stage, _: ClientSession) -> None:
    """Payloads that the program writes itself, whole and cut short, and closes."""
    for body in (b"bytes", pieces(), io.BytesIO(LARGE), io.StringIO("text")):
        payload = anyhttp.get_payload(body)
        try:
            await payload.write_with_length(_Sink(), 3)
        finally:
            await payload.close()


@operation(unentered=True)
async def redirected(stage: Stage, session: ClientSession) -> None:
    """The body is sent twice, the second time from the beginning."""
    params = {"url": "/upload", "status": "307"}
    async with session.put("/redirect-to", params=params, data=io.BytesIO(LARGE)) as response:
        assert (await response.json())["length"] == len(LARGE)


@operation(unentered=True)
async def tracked(stage: Stage, session: ClientSession) -> None:
    """The tracker is told of the end, whatever that is."""
    tracker = anyhttp.UploadTracker()
    try:
        async with session.post("/upload", data=pieces(), upload_tracker=tracker) as response:
            await response.read()
    finally:
        assert tracker.upload_complete.done()


@operation(unentered=True)
async def too_much(stage: Stage, session: ClientSession) -> None:
    """The server answers and closes while a large body is being sent."""
    try:
        async with session.post("/close", data=pieces(30)) as response:
            await response.read()
    except anyhttp.ClientConnectionError:
        pass


async def _replace_body(
    request: ClientRequest, handler: anyhttp.ClientHandlerType
) -> anyhttp.ClientResponse:
    await request.update_body(io.BytesIO(LARGE))
    await request.update_body(await anyhttp.get_payload(pieces()).as_bytes())
    await request.update_body(pieces())
    return await handler(request)


@operation(partial(new_session, middlewares=[_replace_body]), unentered=True)
async def replaced(stage: Stage, session: ClientSession) -> None:
    """A middleware takes another body; the first is closed."""
    path = stage.folder / "body"
    path.write_bytes(LARGE)
    async with session.put("/upload", data=path.open("rb")) as response:
        assert (await response.json())["length"] == 3000
