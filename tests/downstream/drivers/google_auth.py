"""google-auth's asynchronous session."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Stub, json_answer


async def drive_auth(stub: Stub) -> None:
    """Send by an authorized session, read in pieces, and run into an error."""
    from google.auth.aio.credentials import StaticCredentials
    from google.auth.aio.transport.sessions import AsyncAuthorizedSession
    from google.auth.exceptions import TransportError

    stub.on("POST /echo", lambda request: json_answer(request.json))
    session = AsyncAuthorizedSession(StaticCredentials(token="t1"))
    response = await session.post(f"{stub.url}/echo", data=b'{"a": 1}')
    assert response.status_code == 200
    assert b"".join([piece async for piece in response.content(4)]) == b'{"a": 1}'
    with raises(TransportError):
        await session.get("http://127.0.0.1:9/")
    await session.close()
    assert stub.requests[0].headers["Authorization"] == "Bearer t1"


PACKAGES = (
    Package(
        name="google-auth",
        version="2.63.0",
        extras="aiohttp",
        drive=drive_auth,
        driven="an authorized session, reading in pieces, an error",
        asyncio_only="calls asyncio.wait_for()",
    ),
)
