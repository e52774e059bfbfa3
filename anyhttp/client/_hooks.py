"""The steps of aiohttp's session that programs override, and that are missing here."""

from __future__ import annotations

from typing import Final

__all__ = ("SESSION_REFUSED",)

_REQUEST: Final = "override _request(), which each verb and ws_connect() call"

#: what would have changed where a request goes, or with which credentials
SESSION_REFUSED: Final = {
    "_build_url": f"requests would go to other URLs. Give base_url, or {_REQUEST}",
    "_get_netrc_auth": f"requests would have other credentials. Give auth, or {_REQUEST}",
    "_prepare_headers": f"requests would have other headers. Give headers, or {_REQUEST}",
}
