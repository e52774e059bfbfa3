"""A library for an API, on asyncio and trio: it makes a session, or takes that of the program."""

from dataclasses import dataclass
from typing import Self

from anyhttp import ClientSession


@dataclass(frozen=True)
class User:
    """What the API says about a user."""

    id: int
    name: str


class Users:
    """The users of a service: ``async with Users("https://api.example/") as users``.

    :param session: a session of the program, which the program closes
    """

    def __init__(self, base_url: str, session: ClientSession | None = None) -> None:
        self._base_url = base_url
        self._session = session or ClientSession()
        self._is_own = session is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._is_own:
            await self._session.close()

    async def get(self, number: int) -> User:
        """Return one user."""
        url = f"{self._base_url}users/{number}"
        async with self._session.get(url, raise_for_status=True) as response:
            found = await response.json()
            return User(found["id"], found["name"])
