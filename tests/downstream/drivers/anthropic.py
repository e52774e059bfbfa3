"""Anthropic's SDK with its aiohttp client."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub, event_stream, json_answer

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "some",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


async def drive(stub: Stub) -> None:
    """Ask for a message whole and as a stream, and be refused."""
    from anthropic import AsyncAnthropic, DefaultAioHttpClient, NotFoundError

    def answer(request: Request) -> object:
        assert request.headers["Authorization"] == "Bearer key"
        return event_stream(_events()) if request.json.get("stream") else MESSAGE

    stub.on("POST /v1/messages", answer)
    missing = {"type": "error", "error": {"type": "not_found_error", "message": "no"}}
    stub.on("GET /v1/models/none", json_answer(missing, 404))
    asked = {"role": "user", "content": "Hello, Claude"}
    async with AsyncAnthropic(
        api_key="key", base_url=stub.url, http_client=DefaultAioHttpClient()
    ) as client:
        message = await client.messages.create(max_tokens=9, messages=[asked], model="some")
        assert message.content[0].text == "Hello"
        async with client.messages.stream(max_tokens=9, messages=[asked], model="some") as stream:
            assert [text async for text in stream.text_stream] == ["Hel", "lo"]
        with raises(NotFoundError) as caught:
            await client.models.retrieve("none")
        assert caught.error.status_code == 404


def _events() -> list[tuple[str, object]]:
    deltas = [{"type": "text_delta", "text": text} for text in ("Hel", "lo")]
    start = {"type": "text", "text": ""}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": {**MESSAGE, "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": start},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    return [(str(event["type"]), event) for event in events]


PACKAGES = (
    Package(
        name="anthropic",
        version="2.14.0",
        extras="aiohttp",
        drive=drive,
        driven="a message whole and as a stream, an error",
    ),
)
