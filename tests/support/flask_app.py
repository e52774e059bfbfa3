"""A Flask app (with werkzeug's parsers) that describes requests: ``real/test_frameworks.py``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

import flask
from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

app = flask.Flask(__name__)
inner = app.wsgi_app


def under_hypercorn(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Tell Flask that a chunked body ends, and send hypercorn a piece even for an empty body."""
    environ["wsgi.input_terminated"] = True
    body = inner(environ, start_response)
    return ClosingIterator(chain(body, [b""]), getattr(body, "close", None))


app.wsgi_app = under_hypercorn  # type: ignore[method-assign]  # as Flask's documentation says


@app.post("/form")
def form() -> Response:
    """Return the fields and files of a form."""
    request = flask.request
    files = [
        [name, file.filename, file.mimetype, hashlib.sha256(file.read()).hexdigest()]
        for name, file in request.files.items(multi=True)
    ]
    fields = [list(pair) for pair in request.form.items(multi=True)]
    return flask.jsonify(fields=fields, files=files)


@app.route("/echo", methods=METHODS)
def echo() -> Response:
    """Return a description of the request."""
    request = flask.request
    body = request.get_data()
    return flask.jsonify(
        method=request.method,
        path=request.path,
        query=[list(pair) for pair in request.args.items(multi=True)],
        type=request.headers.get("Content-Type"),
        length=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
    )


@app.route("/moved/<int:status>", methods=METHODS)
def moved(status: int) -> Response:
    """Redirect with a status."""
    return flask.redirect("/echo", status)


@app.get("/cookies")
def cookies() -> Response:
    """Return the cookies of the request."""
    return flask.jsonify(flask.request.cookies.to_dict())


@app.get("/cookies/set")
def set_cookie() -> Response:
    """Set a cookie for each pair in the query."""
    response = flask.redirect("/cookies")
    for name, value in flask.request.args.items(multi=True):
        response.set_cookie(name, value, httponly=True)
    return response


@app.get("/user")
def user() -> Response:
    """Return the credentials of the request."""
    credentials = flask.request.authorization
    if credentials is None or credentials.type != "basic":
        return Response(status=401, headers={"WWW-Authenticate": 'Basic realm="tests"'})
    return flask.jsonify([credentials.username, credentials.password])


@app.get("/lines")
def lines() -> Response:
    """Send lines one by one."""

    def body() -> Iterator[bytes]:
        for number in range(1000):
            yield b"%d\n" % number

    return flask.Response(body(), mimetype="text/plain")
