"""SDKs on httpx2, unchanged, on our transport: each against a stub of its service, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent

# The SDKs, and httpx2, drop generators of their own before they have ended, of which trio warns.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Async generator '(httpx2|openai|mcp):ResourceWarning"
)

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("starlette")
pytest.importorskip("hypercorn")


@contextmanager
def served(app: str) -> Iterator[str]:
    """Serve an application of ``tests.support.sdk_app`` in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The socket listens before the server starts: whoever connects waits for it.
        number = listener.fileno()
        port: int = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "hypercorn", "--bind", f"fd://{number}", app],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            pass_fds=[number],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def services() -> Iterator[str]:
    """The URL of the stubs of OpenAI and Anthropic."""
    with served("tests.support.sdk_app:app") as url:
        yield url


def http_client(**options: Any) -> Any:
    """Return a client with our transport."""
    from anyhttp.httpx2 import AnyhttpTransport

    options = {"timeout": 50, **options}  # the server takes its time to start
    return httpx2.AsyncClient(transport=AnyhttpTransport(verify=False), **options)


async def test_openai(services: str) -> None:
    """A completion whole and as a stream, an upload, an error."""
    openai = pytest.importorskip("openai", reason="openai is not installed (group sdks)")
    asked: Any = {"model": "some", "messages": [{"role": "user", "content": "Hello?"}]}
    async with openai.AsyncOpenAI(
        api_key="key", base_url=f"{services}/v1", http_client=http_client()
    ) as client:
        whole = await client.chat.completions.create(**asked)
        assert whole.choices[0].message.content == "Hello"
        stream = await client.chat.completions.create(**asked, stream=True)
        assert [chunk.choices[0].delta.content async for chunk in stream] == ["Hel", "lo"]
        file = await client.files.create(file=("a.jsonl", b"{}\n" * 50_000), purpose="batch")
        assert file.bytes > 150_000
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(**{**asked, "model": "none"})


async def test_openai_reports_our_failures_as_its_own() -> None:
    """It looks at httpx's exceptions, which are the same."""
    openai = pytest.importorskip("openai", reason="openai is not installed (group sdks)")
    async with openai.AsyncOpenAI(
        api_key="key", base_url="http://127.0.0.1:1/v1", http_client=http_client(), max_retries=0
    ) as client:
        with pytest.raises(openai.APIConnectionError) as caught:
            await client.models.list()
    assert isinstance(caught.value.__cause__, httpx2.ConnectError)


async def test_anthropic(services: str) -> None:
    """A message whole and as a stream."""
    anthropic = pytest.importorskip("anthropic", reason="anthropic is not installed (group sdks)")
    asked: Any = {"role": "user", "content": "Hello?"}
    async with anthropic.AsyncAnthropic(
        api_key="key", base_url=services, http_client=http_client()
    ) as client:
        whole = await client.messages.create(max_tokens=9, messages=[asked], model="some")
        assert whole.content[0].text == "Hello"
        async with client.messages.stream(max_tokens=9, messages=[asked], model="some") as stream:
            assert [text async for text in stream.text_stream] == ["Hel", "lo"]


def factory(headers: Any = None, timeout: Any = None, auth: Any = None) -> Any:
    """Make the client of a session over SSE."""
    options = {"headers": headers, "timeout": timeout, "auth": auth}
    return http_client(**{name: value for name, value in options.items() if value is not None})


@pytest.fixture(scope="module", params=["streamable_http", "sse"])
def mcp_server(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A server of the Model Context Protocol: how it is talked to, and its address."""
    pytest.importorskip("mcp", reason="mcp is not installed (group sdks)")
    with served(f"tests.support.sdk_app:{request.param}()") as url:
        yield request.param, url


async def test_mcp(mcp_server: tuple[str, str]) -> None:
    """A session of the Model Context Protocol: tools are listed and called."""
    mcp = pytest.importorskip("mcp")
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client

    kind, url = mcp_server
    async with http_client() as client:
        if kind == "sse":
            transport: Any = sse_client(f"{url}/sse", httpx_client_factory=factory)
        else:
            transport = streamable_http_client(f"{url}/mcp", http_client=client)
        async with transport as streams, mcp.ClientSession(*streams[:2]) as session:
            await session.initialize()
            tools = await session.list_tools()
            assert [tool.name for tool in tools.tools] == ["add"]
            result = await session.call_tool("add", {"first": 2, "second": 3})
            assert result.content[0].text == "5"
