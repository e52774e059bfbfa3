"""Connection keys for tests that open no connection."""

from __future__ import annotations

from anyhttp import ConnectionKey


def key(host: str) -> ConnectionKey:
    """Return the connection key of a host."""
    return ConnectionKey(host, 80, False, True, None, None, None, None)


A, B, C = key("a.test"), key("b.test"), key("c.test")
