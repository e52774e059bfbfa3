"""Trace handlers: each signal is one more point to be cancelled at."""

from __future__ import annotations

from functools import partial

import anyio
import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import ClientSession, TCPConnector, TraceConfig
from tests.cancellation.stage import Stage, add, new_session, operation, pieces
from tests.support.client import get
from tests.support.names import Names
from tests.support.waiting import DEADLINE, comes_true_in_thread

from .middlewares import send_twice


def traced() -> TraceConfig:
    """Return a configuration whose handlers wait."""

    async def handler(session: object, context: object, params: object) -> None:
        await anyio.lowlevel.checkpoint()

    config = TraceConfig()
    for name in dir(config):
        if name.startswith("on_"):
            getattr(config, name).append(handler)
    return config


async def _get(path: str, stage: Stage, session: ClientSession) -> None:
    await get(session, path)


def _named(keepalive: float, stage: Stage, **options: object) -> ClientSession:
    given: dict[str, object] = {"keepalive_timeout": keepalive, "resolver": Names(), **options}
    connector = TCPConnector(**given)  # type: ignore[arg-type]
    url = stage.server.url.with_host("name.test")
    return ClientSession(url, connector=connector, trace_configs=[traced()])


for _name, _keepalive in (("reused", 15), ("new", 0)):
    for _path in ("json", "stream/5", "redirect/1"):
        # A handler that is cancelled takes its request along, whatever that has got by then.
        _session = partial(_named, _keepalive)
        add(f"traced-{_path}-{_name}", partial(_get, f"/{_path}"), _session, unentered=True)


def _traced(stage: Stage) -> ClientSession:
    return new_session(stage, trace_configs=[traced()])


async def _upload(small: bool, stage: Stage, session: ClientSession) -> None:
    """Handlers of the pieces that a task writes are cancelled with that task."""
    body = b"small" if small else pieces()
    async with session.post("/upload", data=body) as response:
        await response.read()


for _small in (True, False):
    _name = "small" if _small else "streamed"
    add(f"traced-upload-{_name}", partial(_upload, _small), _traced, unentered=True)


async def _queue(stage: Stage, session: ClientSession) -> None:
    """A slot that was waited for goes back when the handlers that are told so give up."""
    async with anyio.create_task_group() as group:
        group.start_soon(get, session)
        await get(session)


add("traced-queue", _queue, partial(_named, 15, limit=1, ttl_dns_cache=0))


@operation(_traced, unentered=True)
async def traced_failure(stage: Stage, session: ClientSession) -> None:
    """Handlers run when the request holds nothing any more."""
    with pytest.raises(anyhttp.ServerDisconnectedError):
        await get(session, "/close")


@operation()
async def signal_by_hand(stage: Stage, session: ClientSession) -> None:
    """A program sends a signal of its own."""
    config = traced()
    config.freeze()
    url = stage.server.url
    params = anyhttp.TraceRequestStartParams("GET", url, anyhttp.CIMultiDict())
    await config.on_request_start.send(session, None, params)


async def _judge(response: anyhttp.ClientResponse) -> None:
    await response.read()


def _with_everything(stage: Stage) -> ClientSession:
    netrc = stage.folder / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret")
    stage.monkeypatch.setenv("NETRC", str(netrc))
    return new_session(
        stage,
        trust_env=True,
        trace_configs=[traced()],
        raise_for_status=_judge,
        middlewares=[send_twice],
    )


@operation(_with_everything, unentered=True)
async def all_features_at_once(stage: Stage, session: ClientSession) -> None:
    """The file is closed, and the tracker knows of the end of the request."""
    path = stage.folder / "body"
    path.write_bytes(bytes(100_000))
    file, tracker = path.open("rb"), anyhttp.UploadTracker()
    try:
        request = session.put(
            "/redirect-to",
            params={"url": "/echo", "status": "307"},
            data=file,
            upload_tracker=tracker,
        )
        async with request as response:
            await response.read()
    finally:
        assert tracker.upload_complete.done()
        # Cancelled again while a thread closes it, the request waits no longer for that.
        assert comes_true_in_thread(lambda: file.closed, seconds=DEADLINE)
