"""A service in FastAPI that asks another service, by one session for its whole life.

``uvicorn api:app`` runs it; ``test_api.py`` tests it in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect

from anyhttp import ClientError, ClientSession, ClientTimeout

RATES = "https://rates.test/"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, ClientSession]]:
    """Open the session at the startup, and close it at the shutdown."""
    timeout = ClientTimeout(total=5)
    async with ClientSession(RATES, timeout=timeout, raise_for_status=True) as session:
        yield {"session": session}


app = FastAPI(lifespan=lifespan)


async def rate_of(session: ClientSession, currency: str) -> float:
    """Ask what a euro costs; try twice."""
    for attempt in (1, 2):
        try:
            async with session.get("latest", params={"to": currency}) as response:
                answer: dict[str, Any] = await response.json()
                return float(answer["rate"])
        except (ClientError, TimeoutError) as exc:
            if attempt == 2:
                raise HTTPException(503, "there are no rates at the moment") from exc
    raise AssertionError


@app.get("/price")
async def price(request: Request, euro: float, currency: str) -> dict[str, float]:
    """Convert a price."""
    return {currency: euro * await rate_of(request.state.session, currency)}


@app.post("/orders", status_code=202)
async def order(request: Request, item: str, tasks: BackgroundTasks) -> dict[str, str]:
    """Take an order, and tell the other service of it when the client has its answer."""

    async def tell() -> None:
        async with request.state.session.post("orders", json={"item": item}):
            pass

    tasks.add_task(tell)
    return {"ordered": item}


@app.websocket("/prices")
async def prices(websocket: WebSocket) -> None:
    """Convert whatever the client sends, until it leaves."""
    await websocket.accept()
    try:
        while True:
            euro, currency = (await websocket.receive_text()).split()
            rate = await rate_of(websocket.state.session, currency)
            await websocket.send_json({currency: float(euro) * rate})
    except WebSocketDisconnect:
        pass
