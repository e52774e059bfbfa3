"""Hosts that a program names, such as those to which requests may be sent."""

from __future__ import annotations

from contextlib import suppress

from yarl import URL

from .._common import check_str, parsed_url

__all__ = ("Hosts",)


class Hosts:
    """A set of hosts, with some ports or all."""

    __slots__ = ("_ports",)

    def __init__(self) -> None:
        self._ports: set[tuple[str, int | None]] = set()

    def add(self, *hosts: str) -> None:
        """Add hosts: all of them, or none if one is wrong.

        :param hosts: ``"host"`` for any port, or ``"host:port"``
        :raises TypeError: one is not text
        :raises ValueError: one is not a host
        """
        self._ports.update([_host_and_port(host) for host in hosts])

    def __contains__(self, url: URL) -> bool:
        """Whether *url* leads to one of the hosts."""
        host = url.raw_host or ""
        return bool(self._ports & {(host, None), (host, url.port)})


def _host_and_port(text: str) -> tuple[str, int | None]:
    """Return the host and port that *text* names; ``None`` for any port."""
    check_str("a host", text)
    with suppress(ValueError):
        url = parsed_url(f"//{text}")
        host = url.raw_host
        if host and url.raw_path in {"", "/"} and url.raw_user is None:
            return host, url.explicit_port
    raise ValueError(f'a host must be like "host", "host:80" or "[::1]:80", not {text!r}')
