"""geopy with its aiohttp adapter."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub, json_answer


async def drive(stub: Stub) -> None:
    """Find a place, find an address, and be refused."""
    from geopy.adapters import AioHTTPAdapter
    from geopy.exc import GeocoderQuotaExceeded
    from geopy.geocoders import Nominatim

    place = {"display_name": "Potsdamer Platz, Berlin", "lat": "52.5", "lon": "13.4"}

    def search(request: Request) -> object:
        if request.query["q"] == "too often":
            return json_answer({}, 429)
        return [place]

    stub.on("GET /search", search)
    stub.on("GET /reverse", place)
    async with Nominatim(
        user_agent="driver",
        scheme="http",
        domain=f"{stub.host}:{stub.port}",
        adapter_factory=AioHTTPAdapter,
    ) as geolocator:
        location = await geolocator.geocode("175 5th Avenue")
        assert (location.latitude, location.longitude) == (52.5, 13.4)
        assert (await geolocator.reverse("52.5, 13.4")).address == place["display_name"]
        with raises(GeocoderQuotaExceeded):
            await geolocator.geocode("too often")
    assert stub.requests[0].headers["User-Agent"] == "driver"


PACKAGES = (
    Package(
        name="geopy",
        version="2.5.0",
        extras="aiohttp",
        drive=drive,
        driven="places and addresses, an error",
    ),
)
