"""The headers that a session sends with every request."""

from __future__ import annotations

from multidict import CIMultiDict

from .._headers import header_pairs
from ..client_reqrep import PreparedHeaders, prepared_headers
from ..typedefs import LooseHeaders
from ._hop import Hop, version_of

__all__ = ("SessionHeaders",)


class SessionHeaders:
    """The default headers of a session, rendered once until the program changes them.

    :param given: the ``headers`` argument of the session
    :param skip_auto_headers: names, in lower case, of headers that are not added automatically
    """

    __slots__ = ("_prepared", "_skip_auto_headers", "_version", "headers")

    _prepared: PreparedHeaders

    def __init__(self, given: LooseHeaders | None, skip_auto_headers: frozenset[str]) -> None:
        #: the program may change them at any time
        self.headers: CIMultiDict[str] = CIMultiDict(header_pairs("headers", given))
        self._skip_auto_headers = skip_auto_headers
        self._version = -1  # that of the headers when they were prepared

    def merged(self, given: LooseHeaders | None) -> CIMultiDict[str]:
        """Return a copy of these headers, overridden by those that are *given*."""
        return _merged(self.headers, header_pairs("headers", given))

    def apply(self, hop: Hop, given: LooseHeaders | None = None) -> None:
        """Give *hop* these headers, overridden by those of the request that are *given*."""
        hop.headers = headers = self.headers
        version = version_of(headers)
        if version != self._version:
            self._prepared = prepared_headers(headers, self._skip_auto_headers)
            self._version = version
        prepared = self._prepared
        if given is not None:
            pairs = header_pairs("headers", given)
            hop.headers = headers = _merged(headers, pairs)
            version = version_of(headers)
            if not prepared.fits(pairs):
                return
            hop.own_headers = tuple(pairs)
        if prepared.is_simple and hop.settings.skip_auto_headers is self._skip_auto_headers:
            hop.prepared, hop.headers_version = prepared, version


def _merged(own: CIMultiDict[str], pairs: list[tuple[str, str]]) -> CIMultiDict[str]:
    """Return the session's headers, overridden by those of the request with the same names."""
    if not own:
        return CIMultiDict(pairs)
    merged = own.copy()
    for name, _ in pairs:
        merged.popall(name, None)
    merged.extend(pairs)
    return merged
