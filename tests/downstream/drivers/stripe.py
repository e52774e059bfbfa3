"""Stripe's SDK with its aiohttp client."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub, json_answer


async def drive(stub: Stub) -> None:
    """Create a customer, page through a list, and be refused."""
    import stripe

    def page(request: Request) -> object:
        first = "starting_after" not in request.query
        data = [{"id": "cus_1" if first else "cus_2", "object": "customer"}]
        return {"object": "list", "url": "/v1/customers", "has_more": first, "data": data}

    def create(request: Request) -> object:
        return {"id": "cus_1", "object": "customer", "email": request.form["email"]}

    stub.on("POST /v1/customers", create)
    stub.on("GET /v1/customers", page)
    error = {"error": {"type": "card_error", "code": "card_declined", "message": "no"}}
    stub.on("POST /v1/charges", json_answer(error, 402))
    http = stripe.AIOHTTPClient()
    client = stripe.StripeClient("sk_test", http_client=http, base_addresses={"api": stub.url})
    customer = await client.v1.customers.create_async({"email": "a@example.com"})
    assert customer.email == "a@example.com"
    customers = await client.v1.customers.list_async()
    assert [one.id async for one in customers.auto_paging_iter()] == ["cus_1", "cus_2"]
    with raises(stripe.CardError) as caught:
        await client.v1.charges.create_async({"amount": 1, "currency": "eur"})
    assert caught.error.code == "card_declined"
    await http.close_async()
    assert stub.requests[0].headers["Authorization"] == "Bearer sk_test"


PACKAGES = (
    Package(
        name="stripe",
        version="16.1.0",
        extras="async",
        beside=("aiohttp==3.14.*",),
        drive=drive,
        driven="creating, paging, an error",
    ),
)
