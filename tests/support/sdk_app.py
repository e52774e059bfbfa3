"""Stubs of the services of OpenAI and Anthropic, and a server of the Model Context Protocol."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

CHOICE = {"index": 0, "finish_reason": None}
COMPLETION = {"id": "1", "created": 1, "model": "some"}
MESSAGE = {
    "id": "1", "type": "message", "role": "assistant", "model": "some", "stop_reason": "end_turn",
    "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    "content": [{"type": "text", "text": "Hello"}],
}  # fmt: skip


def events(found: Iterable[tuple[str, object]]) -> Response:
    """Respond with server-sent events, one by one."""

    async def body() -> AsyncIterator[str]:
        for name, value in found:
            data = value if isinstance(value, str) else json.dumps(value)
            yield f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n"

    return StreamingResponse(body(), media_type="text/event-stream")


async def complete(request: Request) -> Response:
    """Answer as OpenAI's chat does, whole or as a stream."""
    asked = await request.json()
    assert request.headers["authorization"] == "Bearer key"
    if asked["model"] == "none":
        return JSONResponse({"error": {"message": "there is no such model"}}, 404)
    if not asked.get("stream"):
        message = {"role": "assistant", "content": "Hello"}
        choices = [{**CHOICE, "finish_reason": "stop", "message": message}]
        return JSONResponse({**COMPLETION, "object": "chat.completion", "choices": choices})

    def chunks() -> Iterator[tuple[str, object]]:
        for text in ("Hel", "lo"):
            choices = [{**CHOICE, "delta": {"content": text}}]
            yield "", {**COMPLETION, "object": "chat.completion.chunk", "choices": choices}
        yield "", "[DONE]"

    return events(chunks())


async def take_file(request: Request) -> Response:
    """Take an upload to OpenAI."""
    body = await request.body()
    assert b'filename="a.jsonl"' in body
    file = {"id": "1", "bytes": len(body), "created_at": 1, "filename": "a.jsonl"}
    return JSONResponse({**file, "object": "file", "purpose": "batch", "status": "processed"})


async def answer(request: Request) -> Response:
    """Answer as Anthropic's messages do, whole or as a stream."""
    assert request.headers["authorization"] == "Bearer key"
    if not (await request.json()).get("stream"):
        return JSONResponse(MESSAGE)

    def parts() -> Iterator[dict[str, Any]]:
        yield {"type": "message_start", "message": {**MESSAGE, "content": []}}
        block = {"type": "text", "text": ""}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        for text in ("Hel", "lo"):
            delta = {"type": "text_delta", "text": text}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        end = {"stop_reason": "end_turn", "stop_sequence": None}
        yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 2}}
        yield {"type": "message_stop"}

    return events((part["type"], part) for part in parts())


app = Starlette(
    routes=[
        Route("/v1/chat/completions", complete, methods=["POST"]),
        Route("/v1/files", take_file, methods=["POST"]),
        Route("/v1/messages", answer, methods=["POST"]),
    ]
)


def _mcp_server() -> Any:
    from mcp.server import MCPServer

    server = MCPServer("tests")

    @server.tool()
    def add(first: int, second: int) -> int:
        """Add two numbers."""
        return first + second

    return server


def streamable_http() -> Any:
    """Make the application that speaks streamable HTTP."""
    return _mcp_server().streamable_http_app()


def sse() -> Any:
    """Make the application that speaks SSE."""
    return _mcp_server().sse_app()
