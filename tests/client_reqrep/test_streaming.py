"""The body of a response as lines, as values of JSON, and as server-sent events."""

from __future__ import annotations

import gc
import warnings
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from yarl import URL

from anyhttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ContentTypeError,
    EventIterator,
    ServerSentEvent,
    guess_charset,
)
from anyhttp.http_exceptions import LineTooLong
from anyhttp.testing import Answer
from tests.support.api import Api
from tests.support.cancel import How, cancel_at_every_checkpoint
from tests.support.client import assert_free, client
from tests.support.peer import CLOSE, STALL, Script
from tests.support.responses import OK_LINE as OK

EVENTS = "text/event-stream"
CHUNKED = OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Return a chunk with *data*."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def answer(api: Api, body: bytes, content_type: str = "text/plain", *, step: int = 0) -> URL:
    """Let the API answer with *body* at the URL that is returned, in pieces of *step* bytes."""
    pieces: bytes | Iterable[bytes] = body
    if step:
        pieces = [body[start : start + step] for start in range(0, len(body), step)]
    api.mock.get(
        api.url / "stream", answer=Answer(headers={"Content-Type": content_type}, body=pieces)
    )
    return api.url / "stream"


async def listed(items: AsyncIterator[Any]) -> list[Any]:
    """All items."""
    return [item async for item in items]


class TestLines:
    """``lines()``."""

    @pytest.mark.parametrize("step", [0, 1])
    async def test_they_come_without_their_ends(self, api: Api, step: int) -> None:
        """Whether the body comes with the head, or byte by byte."""
        url = answer(api, "ä\r\n\nß\rc".encode(), step=step)
        async with ClientSession() as session, session.get(url) as response:
            assert await listed(response.lines()) == ["ä", "", "ß", "c"]
            assert response.closed
            assert_free(session)

    @pytest.mark.parametrize("step", [0, 1])
    @pytest.mark.parametrize(
        ("content_type", "charset"),
        [
            ("text/plain; charset=shift_jis", "shift_jis"),
            ("text/plain; charset=utf-16", "utf-16"),
            ("application/json; charset=unknown", "utf-8"),
            ("text/plain", "euc-jp"),  # what the resolver of the session says
        ],
    )
    async def test_their_charset(
        self, api: Api, content_type: str, charset: str, step: int
    ) -> None:
        """It is that of the headers, that of JSON, or what the session says."""
        url = answer(api, "日本\n語".encode(charset), content_type, step=step)
        async with ClientSession(fallback_charset_resolver=lambda r, b: "euc-jp") as session:
            async with session.get(url) as response:
                assert await listed(response.lines()) == ["日本", "語"]

    async def test_a_resolver_gets_the_first_bytes(self, api: Api) -> None:
        """There are no others yet; so a guess may be wrong."""
        url = answer(api, b"\xe4\n" * 10)
        async with ClientSession(fallback_charset_resolver=guess_charset) as session:
            async with session.get(url) as response:
                assert len(await listed(response.lines())) == 10

    async def test_a_given_charset(self, api: Api) -> None:
        """It goes before that of the headers; other bytes are treated as *errors* says."""
        url = answer(api, b"\xe4\n", "text/plain; charset=utf-8")
        async with ClientSession() as session:
            async with session.get(url) as response:
                assert await listed(response.lines(encoding="latin-1")) == ["ä"]
            async with session.get(url) as response:
                assert await listed(response.lines(errors="replace")) == ["\ufffd"]
            async with session.get(url) as response:
                lines = response.lines()
                for _ in range(2):
                    with pytest.raises(UnicodeDecodeError):
                        await anext(lines)

    async def test_utf7_is_not_decoded_in_pieces(self, api: Api) -> None:
        """It would take a time that grows with the square of the length."""
        url = answer(api, b"x\n", "text/plain; charset=utf-7")
        async with ClientSession() as session, session.get(url) as response:
            with pytest.raises(ValueError, match=r"encoding must be .* in pieces"):
                response.lines(encoding="utf7")
            lines = response.lines()
            for _ in range(2):
                with pytest.raises(ClientPayloadError, match="utf-7 cannot be decoded in pieces"):
                    await anext(lines)

    @pytest.mark.parametrize("step", [0, 1])
    async def test_a_line_that_is_too_long(self, api: Api, step: int) -> None:
        """The error is one of the client's, and says which option sets the limit."""
        url = answer(api, b"123\n1234\n", step=step)
        async with ClientSession() as session, session.get(url) as response:
            lines = response.lines(max_line_length=3)
            assert await anext(lines) == "123"
            with pytest.raises(ClientPayloadError, match=r"set by max_line_length= of lines\(\)"):
                await anext(lines)
            with pytest.raises(LineTooLong):
                await anext(lines)

    async def test_there_is_one_iterator(self, api: Api) -> None:
        """Another would miss what the first has read ahead; that one goes on after a break."""
        url = answer(api, b"a\n\nb\nc\n")
        async with ClientSession() as session, session.get(url) as response:
            lines = response.lines()
            async for line in lines:
                if not line:
                    break
            for other in (response.lines, response.json_lines):
                with pytest.raises(RuntimeError, match="go on with that one"):
                    other()
            assert await listed(lines) == ["b", "c"]
            assert await listed(lines) == []

    @pytest.mark.parametrize(("body", "lines"), [(b"", []), (b"\n", [""])])
    async def test_a_body_without_characters(self, api: Api, body: bytes, lines: list[str]) -> None:
        """An empty one has no lines; an empty line has an end."""
        async with ClientSession() as session, session.get(answer(api, body)) as response:
            assert await listed(response.lines()) == lines

    async def test_a_body_that_was_read(self, api: Api) -> None:
        """It can be iterated over again and again, also after the release."""
        url = answer(api, b"a\nb\n")
        async with ClientSession() as session:
            async with session.get(url) as response:
                await response.read()
                assert await listed(response.lines()) == ["a", "b"]
            assert await listed(response.lines()) == ["a", "b"]

    async def test_a_released_response(self, api: Api) -> None:
        """What has not been read is gone, and so is what was read ahead."""
        url = answer(api, b"a\nb\n" * 10_000, step=100)
        async with ClientSession() as session:
            async with session.get(url) as response:
                lines = response.lines()
                await anext(lines)
            with pytest.raises(ClientConnectionError, match="released"):
                await anext(lines)

    async def test_a_body_that_ends_early(self, script: Script) -> None:
        """The lines before are there; the error says that others are missing."""
        peer = await script([(b"GET ", [OK + b"Content-Length: 9\r\n\r\na\nb", CLOSE])])
        async with client("auto") as session, session.get(peer.url) as response:
            lines = response.lines()
            assert await anext(lines) == "a"
            with pytest.raises(ClientPayloadError):
                await anext(lines)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"max_line_length": 0}, ValueError, "max_line_length must be at least 1"),
            ({"max_line_length": None}, TypeError, "max_line_length must be an int"),
            ({"encoding": "no-such"}, ValueError, "encoding must be a charset"),
            ({"encoding": "base64"}, ValueError, "encoding must be a charset"),
            ({"encoding": 7}, TypeError, "encoding must be a str"),
            ({"encoding": "\ud800"}, ValueError, "encoding must be a charset"),
            ({"errors": "no-such"}, ValueError, "errors must be an error handler"),
            ({"errors": None}, TypeError, "errors must be a str"),
            ({"errors": "\ud800"}, ValueError, "errors must be an error handler"),
        ],
    )
    async def test_wrong_options(
        self, api: Api, options: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        """Each is named, before anything is read."""
        async with ClientSession() as session, session.get(answer(api, b"a")) as response:
            with pytest.raises(error, match=message):
                response.lines(**options)
            assert await listed(response.lines()) == ["a"]


class TestJsonLines:
    """``json_lines()``."""

    @pytest.mark.parametrize("step", [0, 1])
    async def test_values(self, api: Api, step: int) -> None:
        """One in each line, ``null`` among them; empty lines and a byte order mark are nothing."""
        body = '\ufeff{"a": "ä\u2028"}\r\n\n \t\n[1]\nnull\n 7 '.encode()
        url = answer(api, body, "application/x-ndjson", step=step)
        async with ClientSession() as session, session.get(url) as response:
            assert await listed(response.json_lines()) == [{"a": "ä\u2028"}, [1], None, 7]

    async def test_other_decoders(self, api: Api) -> None:
        """What one raises is raised for its line, and the next line comes after that."""
        url = answer(api, b"1\nx\n2\n")
        async with ClientSession() as session, session.get(url) as response:
            values = response.json_lines(loads=int)
            assert await anext(values) == 1
            with pytest.raises(ValueError, match="invalid literal"):
                await anext(values)
            assert await listed(values) == [2]

    async def test_options(self, api: Api) -> None:
        """They are those of ``lines()``, and are named in the same way."""
        async with ClientSession() as session, session.get(answer(api, b"[1]")) as response:
            with pytest.raises(TypeError, match="loads must be a callable"):
                response.json_lines(loads="json")  # type: ignore[arg-type]  # which is refused
            with pytest.raises(ValueError, match="max_line_length"):
                response.json_lines(max_line_length=0)
            with pytest.raises(LineTooLong, match=r"max_line_length= of json_lines\(\)"):
                await anext(response.json_lines(max_line_length=2))


class TestEvents:
    """``events()``."""

    @pytest.mark.parametrize("step", [0, 1])
    async def test_they_end_with_the_body(self, api: Api, step: int) -> None:
        """The iterator knows what a reconnection would say."""
        body = b"retry: 5\nevent: a\ndata: 1\nid: 7\n\ndata: \xff\n\ndata: 3"
        url = answer(api, body, f"{EVENTS}; charset=latin-1", step=step)
        async with ClientSession() as session, session.get(url) as response:
            events = response.events()
            assert isinstance(events, EventIterator)
            assert await listed(events) == [
                ServerSentEvent("a", "1", "7", 5), ServerSentEvent(data="\ufffd", id="7")
            ]  # fmt: skip
            assert (events.last_event_id, events.reconnection_time) == ("7", 5)
            assert await listed(events) == []

    async def test_another_media_type(self, api: Api) -> None:
        """An error page is no stream: its beginning is in the error.  ``None`` stands for any."""
        url = answer(api, b'data: {"error": 1}\n\n', "application/json")
        async with ClientSession() as session, session.get(url) as response:
            with pytest.raises(
                ContentTypeError, match=r"decode events with .* application/json"
            ) as e:
                response.events()
            assert e.value.body == b'data: {"error": 1}\n\n'
            with pytest.raises(TypeError, match="content_type must be a str, not bytes"):
                response.events(content_type=b"text/plain")  # type: ignore[arg-type]  # refused
            assert len(await listed(response.events(content_type=None))) == 1

    async def test_an_event_that_is_too_large(self, api: Api) -> None:
        """It says which option sets the limit, and is none of what is wrong with the option."""
        url = answer(api, b"data: 1\n\ndata: 1234567890\n\n", EVENTS)
        async with ClientSession() as session, session.get(url) as response:
            with pytest.raises(ValueError, match="max_event_size must be at least 1"):
                response.events(max_event_size=0)
            events = response.events(max_event_size=9)
            assert (await anext(events)).data == "1"
            with pytest.raises(LineTooLong, match=r"set by max_event_size= of events\(\)"):
                await anext(events)

    @pytest.mark.uvloop
    async def test_each_comes_when_it_is_sent(self, http1: str, script: Script) -> None:
        """Nobody waits for the next chunk, nor for an LF after a CR."""
        for end in (b"\n", b"\r", b"\r\n"):
            peer = await script([(b"GET ", [CHUNKED + chunk(b"data: 1" + end + end), STALL])])
            async with client(http1) as session, session.get(peer.url) as response:
                events = response.events()
                with anyio.fail_after(5):
                    assert (await anext(events)).data == "1"

    @pytest.mark.uvloop
    async def test_leaving_at_the_last_event(self, http1: str, script: Script) -> None:
        """A ``break`` leaves nothing open, and nothing is said of it."""
        body = chunk(b"data: 1\n\n") + chunk(b"data: [DONE]\n\n")
        peer = await script([(b"POST ", [CHUNKED + body, STALL])])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            async with client(http1) as session:
                found = []
                async with session.post(peer.url, json={"stream": True}) as response:
                    async for event in response.events():
                        if event.data == "[DONE]":
                            break
                        found.append(event.json())
                assert found == [1]
                assert_free(session)
            gc.collect()

    async def test_a_stream_in_memory_lets_other_tasks_run(self, api: Api) -> None:
        """A loop over many events that have come is a checkpoint from time to time."""
        url = answer(api, b"data\n\n" * 1000, EVENTS)
        async with ClientSession() as session, session.get(url) as response:
            found = 0
            with anyio.CancelScope() as scope:
                async for _ in response.events():
                    found += 1
                    scope.cancel()
            assert 1 <= found <= 64

    async def test_a_stream_in_memory_takes_turns(self, api: Api) -> None:
        """Other tasks run after 64 events at most."""
        url = answer(api, b"data\n\n" * 1000, EVENTS)
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        async with ClientSession() as session, session.get(url) as response:
            events = response.events()
            await anext(events)
            async with anyio.create_task_group() as group:
                group.start_soon(take_turns)
                assert len(await listed(events)) == 999
                assert turns >= 999 // 64 // 2  # trio mixes up the order of tasks
                group.cancel_scope.cancel()

    async def test_after_the_total_time(self, api: Api) -> None:
        """Events that were read ahead are not handed out after it either."""
        url = answer(api, b"data\n\n" * 1000, EVENTS, step=60)
        async with ClientSession() as session, session.get(url) as response:
            events = response.events()
            await anext(events)
            response.content.set_exception(TimeoutError("the time is over"))
            with pytest.raises(TimeoutError):
                await anext(events)


@pytest.mark.uvloop
@pytest.mark.parametrize("how", ["scope", "native"])
async def test_cancelled_steps_lose_nothing(how: How, api: Api) -> None:
    """Whichever step of an iteration is cancelled, the next one returns what it would have."""
    url = answer(api, b"data: 0\n\ndata: 1\n\ndata: 2\n\n", EVENTS, step=3)
    async with ClientSession() as session:
        found: list[str] = []

        async def iterate(events: EventIterator) -> None:
            async for event in events:
                found.append(event.data)  # noqa: PERF401  (a cancelled loop keeps what it has)

        async def operation() -> None:
            found.clear()
            async with session.get(url) as response:
                await iterate(response.events())

        async def after() -> None:
            assert_free(session)

        assert await cancel_at_every_checkpoint(operation, after=after, how=how) > 3
        assert found == ["0", "1", "2"]

        async with session.get(url) as response:
            events = response.events()
            found.clear()

            async def not_over() -> None:
                assert found == ["0", "1", "2"][: len(found)]

            await cancel_at_every_checkpoint(partial(iterate, events), after=not_over, how=how)
            assert found == ["0", "1", "2"]
            assert_free(session)


async def test_responses_by_hand(api: Api) -> None:
    """A middleware that answers by itself can answer with events."""

    async def middleware(request: Any, handler: Any) -> ClientResponse:
        return ClientResponse.for_request(
            request, headers={"Content-Type": EVENTS}, body=b"data: 1\n\n"
        )

    async with ClientSession(middlewares=[middleware]) as session:
        async with session.get(api.url) as response:
            assert await listed(response.events()) == [ServerSentEvent(data="1")]
