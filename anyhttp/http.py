"""The protocol's versions, and the name under which the client introduces itself."""

from __future__ import annotations

import sys
from typing import Final

from ._values import HttpVersion, HttpVersion10, HttpVersion11
from ._version import __version__

__all__ = ("SERVER_SOFTWARE", "HttpVersion", "HttpVersion10", "HttpVersion11")

#: Product token of the ``User-Agent`` header (:rfc:`9110#section-10.1.5`).
SERVER_SOFTWARE: Final = f"Python/{sys.version_info[0]}.{sys.version_info[1]} anyhttp/{__version__}"
