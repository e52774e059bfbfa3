"""Bodies of responses: each way to read one."""

from __future__ import annotations

from anyhttp import BodyPartReader, ClientSession, MultipartReader, download
from tests.cancellation.server import EVENTS, FILE
from tests.cancellation.stage import Stage, operation


@operation(unentered=True)
async def read_text_json(stage: Stage, session: ClientSession) -> None:
    """The whole body, in three forms."""
    async with session.get("/json") as response:
        assert len(await response.text()) > 10
        assert (await response.json())["title"] == "anyhttp"
        assert await response.read()


@operation(unentered=True)
async def content_by_methods(stage: Stage, session: ClientSession) -> None:
    """Every method of the reader."""
    async with session.get("/stream/9") as response:
        content = response.content
        assert await content.readline()
        assert await content.readuntil(b"\n")
        assert await content.readexactly(3)
        assert await content.read(2)
        assert await content.readany()
        await content.readchunk()
        assert await content.read() is not None
        await content.wait_eof()


@operation(unentered=True)
async def content_by_iteration(stage: Stage, session: ClientSession) -> None:
    """Every iterator of the reader and of the response."""
    async with session.get("/bytes/70000") as response:
        assert sum([len(piece) async for piece in response.content.iter_chunked(1000)]) == 70_000
    async with session.get("/bytes/70000") as response:
        assert sum([len(piece) async for piece in response.content.iter_any()]) == 70_000
    async with session.get("/stream/5") as response:
        assert [last async for _, last in response.content.iter_chunks()]
    async with session.get("/stream/5") as response:
        assert len([line async for line in response.content]) == 5
    async with session.get("/stream/5") as response:
        assert len([line async for line in response.lines()]) == 5
    async with session.get("/stream/5") as response:
        assert [value["id"] async for value in response.json_lines()] == [0, 1, 2, 3, 4]
    async with session.get("/events") as response:
        assert [event.data async for event in response.events()] == ["1"]


@operation(unentered=True)
async def server_sent_events(stage: Stage, session: ClientSession) -> None:
    """Over as many connections as it takes."""
    async with session.sse("/events", backoff=0) as events:
        assert [event.data async for event in events] == [str(n + 1) for n in range(EVENTS)]


@operation(unentered=True)
async def downloaded(stage: Stage, session: ClientSession) -> None:
    """The connection breaks, and the rest is asked for; no file is half of what it should be."""
    path = stage.folder / "download"
    try:
        result = await download(session, "/file", path, backoff=0)
        assert result.size == len(FILE)
    finally:
        assert not path.exists() or path.read_bytes() == FILE
        path.unlink(missing_ok=True)


@operation(unentered=True)
async def multipart_of_a_response(stage: Stage, session: ClientSession) -> None:
    """Parts, parts of parts, and each way to read one."""
    async with session.get("/multipart") as response:
        reader = MultipartReader.from_response(response)
        first = await reader.next()
        assert isinstance(first, BodyPartReader)
        assert await first.readline() == b"first\r\n"
        assert await first.text() == "lines"
        async for part in reader:
            if isinstance(part, MultipartReader):
                one = await part.next()
                assert isinstance(one, BodyPartReader)
                data = await one.read()
                assert [piece async for piece in one.decode_iter(data)] == [b"one"]
                assert isinstance(await anext(part), BodyPartReader)
                await part.release()
            elif part.headers.get("Content-Type") == "application/json":
                assert await part.json() == {"a": 1}
            elif part.headers.get("Content-Type", "").endswith("urlencoded"):
                assert await part.form() == [("a", "1"), ("b", "2")]
            else:
                assert await part.read_chunk(10) == b"x" * 10
                async for piece in part:
                    assert piece
    async with session.get("/multipart") as response:
        reader = MultipartReader.from_response(response)
        second = await reader.next()
        assert isinstance(second, BodyPartReader)
        await second.next()
        await second.release()
        await reader.release()
    async with session.get("/multipart") as response:
        wrapper = MultipartReader.from_response(response)
        await wrapper.release()
