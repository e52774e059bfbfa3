"""What a service with OpenAI's interface answers; several packages speak it."""

from __future__ import annotations

from collections.abc import Iterator


def completion(text: str) -> object:
    """Return a whole answer."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "chat-1",
        "object": "chat.completion",
        "created": 1,
        "model": "some",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def chunks(*texts: str) -> Iterator[object]:
    """Return the data of the events of a streamed answer."""
    for text in texts:
        yield {
            "id": "chat-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "some",
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
        }
    yield "[DONE]"
