"""A Starlette app (with python-multipart) that describes requests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


async def form(request: Request) -> Response:
    """Return the fields and files of a form."""
    fields: list[list[str]] = []
    files: list[list[object]] = []
    async with request.form() as parsed:
        for name, value in parsed.multi_items():
            if isinstance(value, UploadFile):
                digest = hashlib.sha256(await value.read()).hexdigest()
                files.append([name, value.filename, value.content_type, digest])
            else:
                fields.append([name, value])
    return JSONResponse({"fields": fields, "files": files})


async def echo(request: Request) -> Response:
    """Return a description of the request."""
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query": [list(pair) for pair in request.query_params.multi_items()],
            "type": request.headers.get("content-type"),
            "length": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
    )


async def moved(request: Request) -> Response:
    """Redirect with a status."""
    # hypercorn closes a connection, unannounced, if it responds before it has received the body.
    await request.body()
    return RedirectResponse("/echo", status_code=int(request.path_params["status"]))


async def cookies(request: Request) -> Response:
    """Return the cookies of the request."""
    return JSONResponse(request.cookies)


async def set_cookie(request: Request) -> Response:
    """Set a cookie for each pair in the query."""
    response = RedirectResponse("/cookies")
    for name, value in request.query_params.multi_items():
        response.set_cookie(name, value, httponly=True)
    return response


async def user(request: Request) -> Response:
    """Return the credentials of the request."""
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind != "Basic":
        return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="tests"'})
    name, _, password = base64.b64decode(encoded).decode().partition(":")
    return JSONResponse([name, password])


async def lines(request: Request) -> Response:
    """Send lines one by one."""

    async def body() -> AsyncIterator[bytes]:
        for number in range(1000):
            yield b"%d\n" % number

    return StreamingResponse(body(), media_type="text/plain")


app = Starlette(
    routes=[
        Route("/form", form, methods=["POST"]),
        Route("/echo", echo, methods=METHODS),
        Route("/moved/{status}", moved, methods=METHODS),
        Route("/cookies", cookies),
        Route("/cookies/set", set_cookie),
        Route("/user", user),
        Route("/lines", lines),
    ]
)
