"""What a session, and the middlewares of this package, can ask of a response."""

from __future__ import annotations

from yarl import URL

from anyhttp import ClientRequest, ClientResponse, ClientSession
from anyhttp.client_reqrep import peer_of
from tests.support.server import Server


class TestPeerOf:
    async def test_a_socket(self, server: Server) -> None:
        """As long as the connection is open, though somebody else may have it by now."""
        async with ClientSession() as session:
            async with session.get(server.url / "json") as response:
                assert peer_of(response) == (server.url.host, server.url.port)
            assert peer_of(response) == (server.url.host, server.url.port)
        assert peer_of(response) is None

    def test_a_response_without_a_connection(self) -> None:
        """A middleware has made it."""
        request = ClientRequest("GET", URL("http://a.test/"))
        assert peer_of(ClientResponse.for_request(request)) is None
