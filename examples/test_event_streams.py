"""Tests of the examples that receive events; no socket is opened."""

from __future__ import annotations

import json

import pytest

from anyhttp import ClientResponseError
from anyhttp.testing import Answer, ReceivedRequest, mock_requests, stall
from examples import events, llm_stream
from examples.test_examples import JUMPING_CLOCKS

pytestmark = pytest.mark.anyio

API = "https://api.test/v1/"
EVENTS = {"Content-Type": "text/event-stream"}


def pieces(*texts: str) -> bytes:
    """Return events as a service of language models sends them."""
    deltas = [{"role": "assistant", "content": None}, *({"content": text} for text in texts), {}]
    chunks = [{"choices": [{"delta": delta}]} for delta in deltas]
    statistics: dict[str, object] = {"choices": [], "usage": {"total_tokens": 7}}
    lines = [json.dumps(chunk) for chunk in (*chunks, statistics)]
    return "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode()


async def test_llm_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """The end that the service names is the end, whether or not the connection goes on."""
    with mock_requests() as mock:
        asked = mock.post(
            f"{API}chat/completions", answer=stall(pieces("Roses ", "are red"), headers=EVENTS)
        )
        await llm_stream.main(API)
        (call,) = asked.calls
    assert call.json()["stream"] is True
    assert call.headers["Authorization"].startswith("Bearer")
    assert capsys.readouterr().out == "Roses are red\n"


async def test_llm_stream_that_is_refused() -> None:
    """The error holds what the service says."""
    with mock_requests() as mock:
        mock.post(f"{API}chat/completions", status=401, json={"error": "no key"})
        with pytest.raises(ClientResponseError, match="401") as caught:
            await llm_stream.main(API)
    assert caught.value.body == b'{"error": "no key"}'


@pytest.mark.parametrize("anyio_backend", JUMPING_CLOCKS)
async def test_events(capsys: pytest.CaptureFixture[str]) -> None:
    """After a lost connection the service goes on where it was."""

    def build(request: ReceivedRequest) -> Answer:
        last = int(request.headers.get("Last-Event-ID", "0"))
        if last == 2:
            return Answer(204)
        body = f"id: {last + 1}\nevent: step\ndata: number {last + 1}\n\n".encode()
        return Answer(headers=EVENTS, body=body, exception=ConnectionResetError)

    with mock_requests() as mock:
        mock.get(f"{API}builds/7/events", answer=build)
        await events.main(API)
    assert capsys.readouterr().out == "1 step number 1\n2 step number 2\n"
