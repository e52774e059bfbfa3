"""A client of a library's catalogue, for a client of httpx."""

import httpx

API = "https://books.test/v1"


class Catalogue:
    """Asks the catalogue."""

    def __init__(self, client, token=""):
        self._client = client
        self._token = token

    async def book(self, isbn):
        """Return a book, or nothing if there is none."""
        response = await self._client.get(f"{API}/books/{isbn}")
        if response.status_code == 404:
            return None
        return response.raise_for_status().json()

    async def search(self, words, page=1):
        """Return the titles of one page; ask once more if there is no response."""
        query = {"q": words, "page": page}
        try:
            response = await self._client.get(f"{API}/search", params=query)
        except httpx.TransportError:
            response = await self._client.get(f"{API}/search", params=query)
        return [book["title"] for book in response.json()]

    async def lend(self, isbn, reader):
        """Lend a book, and return until when."""
        loan = {"isbn": isbn, "reader": reader}
        headers = {"Authorization": f"Bearer {self._token}"}
        response = await self._client.post(f"{API}/loans", json=loan, headers=headers)
        return response.raise_for_status().json()["until"]
