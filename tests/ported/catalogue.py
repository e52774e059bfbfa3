"""A client of a library's catalogue, for a session of aiohttp or of anyhttp."""

API = "https://books.test/v1"


class Catalogue:
    """Asks the catalogue."""

    def __init__(self, session, token=""):
        self._session = session
        self._token = token

    async def book(self, isbn):
        """Return a book, or nothing if there is none."""
        async with self._session.get(f"{API}/books/{isbn}") as response:
            if response.status == 404:
                return None
            response.raise_for_status()
            return await response.json()

    async def search(self, words, page=1):
        """Return the titles of one page; ask once more if the server is busy."""
        for _ in range(2):
            query = {"q": words, "page": page}
            async with self._session.get(f"{API}/search", params=query) as response:
                if response.status != 503:
                    return [book["title"] for book in await response.json()]
        raise RuntimeError("the catalogue is busy")

    async def lend(self, isbn, reader):
        """Lend a book, and return until when."""
        loan = {"isbn": isbn, "reader": reader}
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._session.post(f"{API}/loans", json=loan, headers=headers) as response:
            response.raise_for_status()
            return (await response.json())["until"]
