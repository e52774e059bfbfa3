"""aiohttp-socks, whose connectors override a step of aiohttp's dial that does not exist here."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Stub


async def drive(stub: Stub) -> None:
    """Be refused before anything is sent, rather than pass the proxy over."""
    with raises(TypeError) as caught:
        from aiohttp_socks import ProxyConnector

        ProxyConnector.from_url("socks5://127.0.0.1:9")
    assert "proxy='socks5://...'" in str(caught.error), caught.error
    assert not stub.requests


PACKAGES = (
    Package(
        name="aiohttp-socks",
        version="0.12.0",
        drive=drive,
        driven="making a connector",
        refused="its connectors would be passed over; give `proxy='socks5://…'` instead",
    ),
)
