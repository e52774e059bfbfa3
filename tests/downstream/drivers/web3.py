"""web3's asynchronous provider."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub


async def drive(stub: Stub) -> None:
    """Ask for a block number and a balance, and be refused."""
    from web3 import AsyncHTTPProvider, AsyncWeb3
    from web3.exceptions import Web3RPCError

    def answer(request: Request) -> object:
        results = {"eth_blockNumber": "0x10", "eth_getBalance": "0x2a", "eth_chainId": "0x1"}
        asked = request.json
        reply = {"jsonrpc": "2.0", "id": asked["id"]}
        if asked["method"] not in results:
            return {**reply, "error": {"code": -32000, "message": "no"}}
        return {**reply, "result": results[asked["method"]]}

    stub.on("POST /", answer)
    provider = AsyncHTTPProvider(stub.url)
    web3 = AsyncWeb3(provider)
    assert await web3.eth.block_number == 16
    assert await web3.eth.get_balance("0x" + "00" * 20) == 42
    with raises(Web3RPCError):
        await web3.eth.gas_price
    await provider.disconnect()


PACKAGES = (
    Package(
        name="web3",
        version="8.0.0",
        drive=drive,
        driven="calls over HTTP, an error",
        asyncio_only="runs asyncio's event loop and its executor",
    ),
)
