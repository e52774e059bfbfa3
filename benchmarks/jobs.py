"""What the clients do in the rows that count instructions: each function does it once.

It returns how many bytes, lines, events, … it has got (or the server, of an upload), which has
to be what its row says.  Those at the top can be done by any session, the others by the libraries
that they name; ``aiohttp`` is anyhttp as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sized
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeAlias

from .clients import (
    AiohttpSession,
    FullSession,
    HttpxSession,
    NiquestsSession,
    PyreqwestSession,
    Session,
    check,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to do it.

    :ivar file: that may be sent
    """

    url: str
    file: Path


Job: TypeAlias = Callable[[Any, Place], Awaitable[int]]
# What an aiohttp session is given beside the URL.
Arguments: TypeAlias = Callable[[Any, Place], dict[str, Any]]

LARGE: Final = bytes(10_000_000)
SERIALS: Final = count(10_000_000)


# -- any session -----------------------------------------------------------------------


async def read(session: Session, place: Place) -> int:
    """Read the whole body."""
    return len(await session.read(place.url))


async def own_path(session: Session, place: Place) -> int:
    """Read the whole body; what is asked for is another each time."""
    return len(await session.read(f"{place.url}?id={next(SERIALS)}"))


async def stream(session: Session, place: Place) -> int:
    """Take the body in pieces as they come."""
    taken = 0

    def take(piece: Sized) -> None:
        nonlocal taken
        taken += len(piece)

    await session.stream(place.url, take)
    return taken


async def upload_file(session: FullSession, place: Place) -> int:
    """Send a file."""
    return int((await session.upload(place.url, place.file)).split()[0])


# -- aiohttp: a body that is taken in pieces --------------------------------------------


def _taking(take: Callable[[Any], Awaitable[int]]) -> Job:
    async def job(session: AiohttpSession, place: Place) -> int:
        async with session.session.get(place.url) as response:
            check(response.status)
            return await take(response.content)

    return job


async def _lines(content: Any) -> int:
    taken = 0
    async for _ in content:
        taken += 1
    return taken


async def _readline(content: Any) -> int:
    taken = 0
    while await content.readline():
        taken += 1
    return taken


async def _chunks(content: Any) -> int:
    taken = 0
    async for _, end in content.iter_chunks():
        taken += end
    return taken


async def _events(content: Any) -> int:
    taken = 0
    event: list[bytes] = []
    async for line in content:
        if line == b"\n":
            taken += bool(event)
            event.clear()
        elif line.startswith(b"data: "):
            event.append(line[6:-1])
    return taken


lines = _taking(_lines)
readline = _taking(_readline)
chunks = _taking(_chunks)
events = _taking(_events)


def pieces_of(size: int) -> Job:
    """Return the job of taking the body in pieces of one size."""

    async def take(content: Any) -> int:
        taken = 0
        async for piece in content.iter_chunked(size):
            taken += len(piece)
        return taken

    return _taking(take)


def exactly(size: int, times: int) -> Job:
    """Return the job of reading so many bytes so many times."""

    async def take(content: Any) -> int:
        taken = 0
        for _ in range(times):
            taken += len(await content.readexactly(size))
        return taken

    return _taking(take)


# -- aiohttp: a body that is sent -------------------------------------------------------


def _posting(arguments: Arguments) -> Job:
    async def job(session: AiohttpSession, place: Place) -> int:
        given = arguments(session.library, place)
        async with session.session.post(place.url, **given) as response:
            check(response.status)
            return int((await response.read()).split()[0])

    return job


def _large_form(library: Any, place: Place) -> dict[str, Any]:
    form = library.FormData()
    form.add_field("name", "value")
    form.add_field("file", place.file.open("rb"), filename="file.bin")
    return {"data": form}


def _small_form(library: Any, place: Place) -> dict[str, Any]:
    form = library.FormData()
    form.add_field("name", "value")
    form.add_field("other", "another value")
    form.add_field("file", b"a few bytes", filename="file.txt", content_type="text/plain")
    return {"data": form}


async def _generate(number: int, size: int) -> AsyncIterator[bytes]:
    piece = bytes(size)
    for _ in range(number):
        yield piece


upload_bytes = _posting(lambda library, place: {"data": LARGE})
upload_form = _posting(_large_form)
small_form = _posting(_small_form)


def generated(number: int, size: int) -> Job:
    """Return the job of sending so many pieces from an asynchronous generator."""
    return _posting(lambda library, place: {"data": _generate(number, size)})


# -- aiohttp: sessions and single requests -----------------------------------------------


async def request_alone(session: AiohttpSession, place: Place) -> int:
    """Make one request without a session."""
    async with session.library.request("GET", place.url) as response:
        check(response.status)
        return len(await response.read())


async def own_session(session: AiohttpSession, place: Place) -> int:
    """Open a session for one request."""
    async with session.library.ClientSession() as own:
        async with own.get(place.url) as response:
            check(response.status)
            return len(await response.read())


async def unused_session(session: AiohttpSession, place: Place) -> int:
    """Open a session and close it again."""
    async with session.library.ClientSession():
        return 0


async def missing(session: AiohttpSession, place: Place) -> int:
    """Ask for what is not there, and be told so by an exception."""
    try:
        async with session.session.get(place.url, raise_for_status=True):
            return 200
    except session.library.ClientResponseError as exc:
        status: int = exc.status
        return status


async def look_at_headers(session: AiohttpSession, place: Place) -> int:
    """Look at each header, and at one of them by its name."""
    async with session.session.get(place.url) as response:
        check(response.status)
        await response.read()
        return len(dict(response.headers.items())) if response.headers["X-Header-50"] else 0


async def own_header(session: AiohttpSession, place: Place) -> int:
    """Send a header whose value is another each time."""
    headers = {"X-Request-Id": str(next(SERIALS))}
    async with session.session.get(place.url, headers=headers) as response:
        check(response.status)
        return len(await response.read())


async def open_websocket(session: AiohttpSession, place: Place) -> int:
    """Open a WebSocket and close it again."""
    async with session.session.ws_connect(place.url):
        return 0


# -- peers ------------------------------------------------------------------------------


async def httpx_lines(session: HttpxSession, place: Place) -> int:
    """Take the body line by line."""
    taken = 0
    async with session.client.stream("GET", place.url) as response:
        check(response.status_code)
        async for _ in response.aiter_lines():
            taken += 1
    return taken


def httpx_pieces_of(size: int) -> Job:
    """Return the job of taking the body in pieces of one size."""

    async def job(session: HttpxSession, place: Place) -> int:
        taken = 0
        async with session.client.stream("GET", place.url) as response:
            check(response.status_code)
            async for piece in response.aiter_bytes(size):
                taken += len(piece)
        return taken

    return job


async def httpx_upload_bytes(session: HttpxSession, place: Place) -> int:
    """Send ten megabytes."""
    response = await session.client.post(place.url, content=LARGE)
    check(response.status_code)
    return int(response.content.split()[0])


async def httpx_small_form(session: HttpxSession, place: Place) -> int:
    """Send a small multipart form."""
    fields = {"name": "value", "other": "another value"}
    files = {"file": ("file.txt", b"a few bytes", "text/plain")}
    response = await session.client.post(place.url, data=fields, files=files)
    check(response.status_code)
    return int(response.content.split()[0])


def httpx_generated(number: int, size: int) -> Job:
    """Return the job of sending so many pieces from an asynchronous generator."""

    async def job(session: HttpxSession, place: Place) -> int:
        response = await session.client.post(place.url, content=_generate(number, size))
        check(response.status_code)
        return int(response.content.split()[0])

    return job


async def httpx_own_session(session: HttpxSession, place: Place) -> int:
    """Open a client for one request."""
    async with session.library.AsyncClient() as own:
        response = await own.get(place.url)
        check(response.status_code)
        return len(response.content)


async def httpx_missing(session: HttpxSession, place: Place) -> int:
    """Ask for what is not there, and be told so by an exception."""
    try:
        (await session.client.get(place.url)).raise_for_status()
    except session.library.HTTPStatusError as exc:
        status: int = exc.response.status_code
        return status
    return 200


async def httpx_look_at_headers(session: HttpxSession, place: Place) -> int:
    """Look at each header, and at one of them by its name."""
    response = await session.client.get(place.url)
    check(response.status_code)
    return len(dict(response.headers.items())) if response.headers["X-Header-50"] else 0


async def httpx_own_header(session: HttpxSession, place: Place) -> int:
    """Send a header whose value is another each time."""
    headers = {"X-Request-Id": str(next(SERIALS))}
    response = await session.client.get(place.url, headers=headers)
    check(response.status_code)
    return len(response.content)


def niquests_together(number: int) -> Job:
    """Return the job of making so many requests at once."""

    async def job(session: NiquestsSession, place: Place) -> int:
        return sum(map(len, await session.read_together(place.url, number)))

    return job


async def niquests_upload_bytes(session: NiquestsSession, place: Place) -> int:
    """Send ten megabytes."""
    return int((await session.send(place.url, LARGE)).split()[0])


async def pyreqwest_upload_bytes(session: PyreqwestSession, place: Place) -> int:
    """Send ten megabytes."""
    response = await session.client.post(place.url).body_bytes(LARGE).build().send()
    check(response.status)
    return int((await response.text()).split()[0])


async def pyreqwest_own_header(session: PyreqwestSession, place: Place) -> int:
    """Send a header whose value is another each time."""
    request = session.client.get(place.url).header("X-Request-Id", str(next(SERIALS)))
    response = await request.build().send()
    check(response.status)
    return len(await response.bytes())
