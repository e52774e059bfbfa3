"""Google's SDK of generative models, which sends by aiohttp where that is installed."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub, event_stream, json_answer


async def drive_genai(stub: Stub) -> None:
    """Generate text whole and as a stream, and be refused."""
    from google import genai

    def answer(*texts: str) -> list[object]:
        contents = ({"role": "model", "parts": [{"text": text}]} for text in texts)
        return [{"candidates": [{"content": content}]} for content in contents]

    def generate(request: Request) -> object:
        assert request.headers["X-Goog-Api-Key"] == "key"
        return answer("a test")[0]

    stub.on("POST /v1/models/some:generateContent", generate)
    stub.on("POST /v1/models/some:streamGenerateContent", event_stream(answer("to", "be")))
    error = {"error": {"code": 404, "message": "no", "status": "NOT_FOUND"}}
    stub.on("GET /v1/models/none", json_answer(error, 404))
    options = genai.types.HttpOptions(base_url=stub.url)
    async with genai.Client(api_key="key", http_options=options).aio as client:
        whole = await client.models.generate_content(model="some", contents="Say a test")
        assert whole.text == "a test"
        stream = await client.models.generate_content_stream(model="some", contents="Say")
        assert [part.text async for part in stream] == ["to", "be"]
        with raises(genai.errors.ClientError) as caught:
            await client.models.get(model="none")
        assert caught.error.code == 404


PACKAGES = (
    Package(
        name="google-genai",
        version="3.6.1",
        beside=("aiohttp==3.14.*",),
        drive=drive_genai,
        driven="text whole and as a stream, an error",
        asyncio_only="asks for asyncio's running loop",
    ),
)
