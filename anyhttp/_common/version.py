"""The version of this release, which the build reads here, and the product token with it."""

from __future__ import annotations

import sys
from typing import Final

__version__ = "0.1.0"

#: Product token of the ``User-Agent`` header (:rfc:`9110#section-10.1.5`).
SERVER_SOFTWARE: Final = f"Python/{sys.version_info[0]}.{sys.version_info[1]} anyhttp/{__version__}"
