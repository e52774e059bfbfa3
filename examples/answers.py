"""A middleware answers in the place of the server: for a test, or from a store."""

from __future__ import annotations

import sys

import anyio

from anyhttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession


class Answers:
    """Answers requests for some paths, and sends the others."""

    def __init__(self, answers: dict[str, tuple[int, bytes]]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Return the answer to *request*, or let a server give it."""
        self.asked.append(f"{request.method} {request.url.path}")
        if request.url.path not in self._answers:
            return await handler(request)
        status, body = self._answers[request.url.path]
        return ClientResponse.for_request(request, status=status, body=body)


async def main(base_url: str) -> None:
    """Ask for something that the server does not have, and for something that it has."""
    answers = Answers({"/price": (200, b"5 euro")})
    async with ClientSession(base_url, middlewares=[answers]) as session:
        for path in ("/price", "/"):
            async with session.get(path) as response:
                print(response.status, await response.text())
    print(answers.asked)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
