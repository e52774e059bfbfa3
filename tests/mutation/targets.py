"""What is mutated, and the tests that are meant to notice: see :data:`TARGETS`.

To add a target, write it here and run ``python -m tests.mutation --folder FOLDER NAME``.  That
prints the survivors.  Write tests of the rules that they break, into the folder of the room, and
run it with ``--again``.  What is left goes into ``survivors/NAME.toml`` as it was printed, with the
reason for which no test can or need notice it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "anyhttp"


@dataclass(frozen=True)
class Target:
    """Files of the package that are mutated together.

    :param files: their paths, below ``anyhttp/``
    :param tests: files, folders and tests, below ``tests/``; of these, a mutant is tried by those
        that run one of its lines.  Fast ones are best, and those that know no time: on a busy
        machine others fail without having noticed anything.
    """

    name: str
    files: tuple[str, ...]
    tests: tuple[str, ...]


TARGETS: Final = (
    Target("slots", ("connector/_slots.py",), ("connector/test_slots.py",)),
    Target("idle", ("connector/_idle.py",), ("connector/test_idle.py",)),
    Target(
        "pool",
        ("connector/_pool.py",),
        (
            "connector/test_pool.py",
            "connector/test_lending.py",
            "connector/test_connectors.py::TestLimit",
            "connector/test_connectors.py::TestLimitPerHost",
            "connector/test_connectors.py::TestKeepAlive",
            "connector/test_connectors.py::TestClosing",
        ),
    ),
    Target(
        "lending",
        ("connector/_lending.py",),
        (
            "connector/test_lending.py",
            "connector/test_multiplexed_requests.py",
            "http2/test_websocket_first.py",
        ),
    ),
    Target(
        "heads",
        ("_http1/heads.py", "_http1/lines.py", "_http1/response_grammar.py"),
        (
            "http1/test_heads.py",
            "http1/test_lines.py",
            "http1/test_response_framing.py",
            "http1/test_response_grammar.py",
            "http1/test_tolerated.py",
            "http1/test_engine.py",
        ),
    ),
    Target(
        "framing",
        ("_http1/response_framing.py", "_http1/chunks.py", "_http1/request_framing.py"),
        (
            "http1/test_response_framing.py",
            "http1/test_request_framing.py",
            "http1/test_tolerated.py",
            "http1/test_engine.py",
            "http1/test_heads.py",
        ),
    ),
    Target("bodies", ("_http1/response_body.py",), ("http1/test_response_body.py",)),
    Target(
        "redirects",
        ("client/_redirects.py", "client/_hop.py"),
        ("client/test_redirects.py", "client/test_hop.py"),
    ),
    Target(
        "jar",
        (
            "cookiejar/_jar.py",
            "cookiejar/_matching.py",
            "cookiejar/_store.py",
            "cookiejar/_header.py",
            "cookiejar/_given.py",
            "cookiejar/_view.py",
        ),
        (
            "cookiejar/test_jar.py",
            "cookiejar/test_matching.py",
            "cookiejar/test_store.py",
            "cookiejar/test_header.py",
        ),
    ),
    Target(
        "cookie-files",
        ("cookiejar/_file.py", "cookiejar/_netscape.py"),
        (
            "cookiejar/test_files.py",
            "cookiejar/test_netscape.py",
            "cookiejar/test_jar.py",
            "cookiejar/test_store.py",
        ),
    ),
    Target(
        "frames",
        ("_websocket/frames.py", "_websocket/frame_writer.py", "_websocket/outgoing.py"),
        ("websocket/test_frames.py", "websocket/test_outgoing.py"),
    ),
    Target(
        "flow",
        ("_http2/guards.py", "_http2/core.py"),
        (
            "http2/test_guards.py",
            "http2/test_core_flow.py",
            "http2/test_core.py",
            "http2/test_hostile_frames.py",
            "http2/test_hostile_floods.py::TestWindows",
        ),
    ),
    Target(
        "states",
        ("_http2/state.py", "_http2/streams.py", "_http2/settings.py"),
        (
            "http2/test_state.py",
            "http2/test_streams.py",
            "http2/test_settings.py",
            "http2/test_core.py",
            "http2/test_extended_connect.py",
        ),
    ),
)
