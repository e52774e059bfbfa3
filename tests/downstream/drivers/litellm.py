"""LiteLLM, which sends httpx's requests by aiohttp."""

from __future__ import annotations

import os

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub, event_stream, json_answer
from tests.downstream.wire_of_openai import chunks, completion


async def drive(stub: Stub) -> None:
    """Ask for a completion, for a stream of one, for four at once, and be refused."""
    import anyio

    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or else it asks for one at its import
    os.environ["LITELLM_TELEMETRY"] = "False"
    import litellm
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

    def complete(request: Request) -> object:
        asked = request.json
        if asked["model"] == "none":
            return json_answer({"error": {"message": "no such model"}}, 404)
        return event_stream(chunks("to", "be")) if asked.get("stream") else completion("a test")

    stub.on("POST /v1/chat/completions", complete)
    message = {"role": "user", "content": "Say this is a test"}

    async def ask(model: str, **options: object) -> object:
        where = {"api_base": f"{stub.url}/v1", "api_key": "key", "num_retries": 0}
        return await litellm.acompletion(
            model=f"hosted_vllm/{model}", messages=[message], **where, **options
        )

    answer = await ask("some")
    assert answer.choices[0].message.content == "a test"
    stream = await ask("some", stream=True)
    said = [chunk.choices[0].delta.content async for chunk in stream]
    assert [text for text in said if text] == ["to", "be"], said
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(ask, "some")
    with raises(litellm.NotFoundError):
        await ask("none")
    await litellm.close_litellm_async_clients()
    await GLOBAL_LOGGING_WORKER.stop()


PACKAGES = (
    Package(
        name="litellm",
        version="1.110.2",
        environment="litellm",
        drive=drive,
        driven="completion, stream of events, four at once, an error",
        asyncio_only="calls asyncio's loop, tasks and locks",
    ),
)
