"""``session.sse()`` beside a model: which connections are made, when, with which id; the events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from hypothesis import given, strategies as st
from trio.testing import MockClock

from anyhttp import ClientPayloadError, ClientResponseError, ClientSession
from anyhttp.testing import Answer, AutojumpEventLoop, MockConnector
from tests.support.examples import examples

API = "https://api.test/"
TYPE = {"Content-Type": "text/event-stream"}

pytestmark = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"loop_factory": AutojumpEventLoop}), id="asyncio"),
        pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio"),
    ],
)


@dataclass(frozen=True)
class Block:
    """The lines up to an empty one: an event, if it has data."""

    data: str | None
    id: str | None
    retry: int | None

    @property
    def lines(self) -> str:
        """The text of the block."""
        lines = []
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        if self.data is not None:
            lines.append(f"data: {self.data}")
        return "".join(f"{line}\n" for line in [*lines, ""])


@dataclass(frozen=True)
class Stream:
    """One connection: a stream of blocks that ends or breaks, or a status instead."""

    blocks: tuple[Block, ...] = ()
    breaks: bool = False
    status: int = 200
    retry_after: int = 0

    @property
    def answer(self) -> Answer:
        """What the mock answers."""
        if self.status != 200:
            headers = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
            return Answer(self.status, headers=headers)
        body = "".join(block.lines for block in self.blocks).encode()
        if self.breaks:  # in the middle of another one, which is lost
            body += b"data: lost\n"
            return Answer(headers=TYPE, body=body, exception=ConnectionResetError)
        return Answer(headers=TYPE, body=body)


blocks = st.builds(
    Block,
    st.sampled_from(["1", "2", "3", None]),
    st.sampled_from([None, None, "7", "8", ""]),
    st.sampled_from([None, None, 0, 300_000, 300_000]),
)
streams = st.one_of(
    st.builds(Stream, st.lists(blocks, max_size=3).map(tuple), st.booleans()),
    st.builds(
        Stream,
        status=st.sampled_from([503, 503, 503, 503, 429, 500, 404, 204]),
        retry_after=st.sampled_from([0, 100, 100, 900]),
    ),
)


@dataclass
class Model:
    """What comes of a number of connections."""

    events: list[str]
    ids: list[str]
    times: list[float]
    result: int | None = None
    """The status that ends it; 0 if a stream broke too often."""


def expected(script: list[Stream], attempts: int | None, first_id: str, limit: float) -> Model:
    """Follow the connections one by one; the bound of waits is 100 seconds, and doubles."""
    model = Model([], [], [])
    now, last_id, pause, failures = 0.0, first_id, 0.0, 0
    for stream in [*script, Stream(status=204)]:
        model.times.append(now)
        model.ids.append(last_id)
        if stream.status in {204, 404}:
            model.result = stream.status
            return model
        for block in stream.blocks:
            last_id = last_id if block.id is None else block.id
            pause = pause if block.retry is None else block.retry / 1000
            if block.data is not None:
                model.events.append(block.data)
                failures = 0
        has_failed = stream.breaks or stream.status != 200
        failures = failures + 1 if has_failed else 0
        if has_failed and failures == attempts:
            model.result = 0 if stream.breaks else stream.status
            return model
        asked = min(max(pause, stream.retry_after), limit)
        now += asked + min(100 * 2 ** (max(failures, 1) - 1), 800)
    raise AssertionError("the last status ends it")


@examples(50)
@given(
    script=st.lists(streams, min_size=1, max_size=6),
    attempts=st.sampled_from([None, None, 1, 2, 3]),
    first_id=st.sampled_from(["", "5"]),
    limit=st.sampled_from([0.0, 200.0, 10_000.0, 10_000.0]),
)
async def test_connections_are_those_of_the_model(
    script: list[Stream], attempts: int | None, first_id: str, limit: float
) -> None:
    """HTML, "server-sent events": each connection goes on where the one before has ended."""
    ids: list[str] = []
    times: list[float] = []
    began = anyio.current_time()

    def answer(request: Any) -> Answer:
        ids.append(request.headers.get("Last-Event-ID", ""))
        times.append(anyio.current_time() - began)
        return [*script, Stream(status=204)][len(ids) - 1].answer

    mock = MockConnector()
    mock.fallback(answer=answer)
    events: list[str] = []
    result = 204
    async with ClientSession(API, connector=mock) as session:
        try:
            async with session.sse(
                "/",
                last_event_id=first_id,
                attempts=attempts,
                backoff=100,
                max_backoff=800,
                max_retry_after=limit,
                random=lambda: 1.0,
            ) as source:
                async for event in source:
                    events += [event.data]
        except ClientResponseError as exc:
            result = exc.status
        except ClientPayloadError:
            result = 0
    model = expected(script, attempts, first_id, limit)
    assert events == model.events
    assert ids == model.ids
    assert times == pytest.approx(model.times, abs=20)
    assert result == model.result
