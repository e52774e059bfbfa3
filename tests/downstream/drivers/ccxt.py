"""ccxt, for many exchanges."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub


async def drive(stub: Stub) -> None:
    """Ask for the time, for a balance with a signature, and be refused."""
    import ccxt.async_support as ccxt

    def balance(request: Request) -> object:
        assert request.headers["API-Key"] == "key"
        assert request.headers["API-Sign"]
        assert int(request.form["nonce"]) > 0
        return {"error": [], "result": {"XXBT": "1.5"}}

    stub.on("GET /0/public/Time", {"error": [], "result": {"unixtime": 12}})
    stub.on("POST /0/private/Balance", balance)
    stub.on("POST /0/private/OpenOrders", {"error": ["EGeneral:Permission denied"]})
    exchange = ccxt.kraken({"apiKey": "key", "secret": "c2VjcmV0", "enableRateLimit": False})
    exchange.urls["api"] = {"public": stub.url, "private": stub.url}
    assert (await exchange.public_get_time())["result"]["unixtime"] in (12, "12")
    assert (await exchange.private_post_balance())["result"] == {"XXBT": "1.5"}
    with raises(ccxt.PermissionDenied):
        await exchange.private_post_openorders()
    await exchange.close()


PACKAGES = (
    Package(
        name="ccxt",
        version="4.5.90",
        environment="ccxt",
        drive=drive,
        driven="public and signed requests, an error",
        asyncio_only="asks for asyncio's running loop",
    ),
)
