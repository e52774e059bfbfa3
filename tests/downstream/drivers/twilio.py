"""Twilio's SDK with its asynchronous client."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub, json_answer


async def drive(stub: Stub) -> None:
    """Send a message, list messages, and be refused."""
    from twilio.base.exceptions import TwilioRestException
    from twilio.http.async_http_client import AsyncTwilioHttpClient
    from twilio.rest import Client

    messages = "/2010-04-01/Accounts/AC1/Messages.json"

    def send(request: Request) -> object:
        return json_answer({"sid": "SM1", "body": request.form["Body"]}, 201)

    stub.on(f"POST {messages}", send)
    listed = {"messages": [{"sid": "SM1"}, {"sid": "SM2"}], "next_page_uri": None}
    stub.on(f"GET {messages}", {**listed, "meta": {"key": "messages"}})
    refused = {"code": 20404, "message": "not found", "status": 404}
    stub.on("GET /2010-04-01/Accounts/AC1/Messages/SM9.json", json_answer(refused, 404))
    async with AsyncTwilioHttpClient() as http:
        client = Client("AC1", "secret", http_client=http)
        client.api.base_url = stub.url
        sent = await client.messages.create_async(to="+1", from_="+2", body="Hello there!")
        assert (sent.sid, sent.body) == ("SM1", "Hello there!")
        assert [one.sid for one in await client.messages.list_async(limit=2)] == ["SM1", "SM2"]
        with raises(TwilioRestException) as caught:
            await client.messages("SM9").fetch_async()
        assert caught.error.code == 20404
    assert stub.requests[0].headers["Authorization"].startswith("Basic ")


PACKAGES = (
    Package(
        name="twilio",
        version="9.13.0",
        drive=drive,
        driven="sending, listing, an error",
    ),
)
