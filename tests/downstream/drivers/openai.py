"""OpenAI's SDK with its aiohttp client: answers, streams of events, uploads, errors."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub, event_stream, json_answer
from tests.downstream.wire_of_openai import chunks, completion


async def drive(stub: Stub) -> None:
    """Ask for a completion, for a stream of one, upload a file, and be refused."""
    from openai import AsyncOpenAI, BadRequestError, DefaultAioHttpClient

    def complete(request: Request) -> object:
        asked = request.json
        return event_stream(chunks("to", "be")) if asked.get("stream") else completion("a test")

    stub.on("POST /v1/chat/completions", complete)
    stub.on("POST /v1/files", lambda request: json_answer(_file_of(request)))
    stub.on("POST /v1/embeddings", json_answer({"error": {"message": "no"}}, 400))
    message = {"role": "user", "content": "Say this is a test"}
    async with AsyncOpenAI(
        api_key="key", base_url=f"{stub.url}/v1", http_client=DefaultAioHttpClient()
    ) as client:
        answer = await client.chat.completions.create(messages=[message], model="some")
        assert answer.choices[0].message.content == "a test"
        stream = await client.chat.completions.create(messages=[message], model="some", stream=True)
        said = [chunk.choices[0].delta.content async for chunk in stream]
        assert said == ["to", "be"], said
        uploaded = await client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
        assert uploaded.filename == "a.jsonl"
        with raises(BadRequestError) as caught:
            await client.embeddings.create(model="some", input="x")
        assert caught.error.status_code == 400
    assert stub.requests[0].headers["Authorization"] == "Bearer key"


def _file_of(request: Request) -> object:
    assert request.headers["Content-Type"].startswith("multipart/form-data")
    assert b'filename="a.jsonl"' in request.body, request.body
    return {
        "id": "file-1",
        "object": "file",
        "bytes": 3,
        "created_at": 1,
        "filename": "a.jsonl",
        "purpose": "batch",
        "status": "processed",
    }


PACKAGES = (
    Package(
        name="openai",
        version="2.54.0",
        extras="aiohttp",
        drive=drive,
        driven="completion, stream of events, upload of a file, error",
    ),
)
