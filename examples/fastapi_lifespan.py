"""A service in FastAPI: one session for its whole life; ``uvicorn fastapi_lifespan:app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request

from anyhttp import ClientError, ClientSession, ClientTimeout


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, ClientSession]]:
    """Open the session when the service starts, and close it when it ends."""
    timeout = ClientTimeout(total=5)
    async with ClientSession("https://rates.test/", timeout=timeout) as session:
        yield {"session": session}


def session_of(request: Request) -> ClientSession:
    """Return the session, for whatever depends on it."""
    session: ClientSession = request.state.session
    return session


Session = Annotated[ClientSession, Depends(session_of)]
app = FastAPI(lifespan=lifespan)


@app.get("/rate/{currency}")
async def rate(currency: str, session: Session) -> Any:
    """Ask another service, and say so if it does not answer."""
    params = {"to": currency}
    try:
        async with session.get("latest", params=params, raise_for_status=True) as latest:
            return await latest.json()
    except (ClientError, TimeoutError, ValueError) as error:  # ValueError: no JSON
        raise HTTPException(502, "there are no rates at the moment") from error
