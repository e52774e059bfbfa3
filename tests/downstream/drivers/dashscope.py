"""Alibaba's DashScope SDK."""

from __future__ import annotations

from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub, event_stream


async def drive(stub: Stub) -> None:
    """Generate text whole and as a stream."""
    import dashscope
    from dashscope.aigc.generation import AioGeneration
    from dashscope.api_entities.aio_session import close_shared_aio_session

    def generate(request: Request) -> object:
        assert request.headers["Authorization"] == "Bearer key"
        if request.headers.get("X-DashScope-SSE") == "enable":
            return event_stream(("result", _answer(text)) for text in ("to", "to be"))
        return _answer("a test")

    stub.on("POST /api/v1/services/aigc/text-generation/generation", generate)
    dashscope.base_http_api_url = f"{stub.url}/api/v1"
    whole = await AioGeneration.call(model="some", prompt="Say a test", api_key="key")
    assert whole.output.text == "a test", whole
    stream = await AioGeneration.call(model="some", prompt="Say", api_key="key", stream=True)
    assert [part.output.text async for part in stream] == ["to", "to be"]
    await close_shared_aio_session()


def _answer(text: str) -> object:
    return {
        "output": {"text": text, "finish_reason": "stop"},
        "usage": {"input_tokens": 1, "output_tokens": 1},
        "request_id": "r",
    }


PACKAGES = (
    Package(
        name="dashscope",
        version="2.0.2",
        drive=drive,
        driven="text whole and as a stream",
        asyncio_only="asks for asyncio's running loop",
    ),
)
