"""The ``anyhttp`` command; it needs the packages of ``anyhttp-client[cli]``."""

from __future__ import annotations

import sys
from typing import NoReturn

from ._streams import replace_closed_streams

NEEDED = frozenset({"click", "rich", "trustme"})


def main() -> NoReturn:
    """Run the command with the arguments of this process, and exit with its status."""
    replace_closed_streams()
    try:
        # Imported here, because the extra's packages may be missing.
        from ._commands import run
        from ._run import exit_at_once, finished

        status = finished(run(sys.argv[1:], exit_at_once))
    except ModuleNotFoundError as exc:
        missing = (exc.name or "").partition(".")[0]
        if missing not in NEEDED:
            raise
        sys.exit(f"anyhttp: {missing} is not installed; try: pip install 'anyhttp-client[cli]'")
    # Ctrl-C before the command handles it, or after it has stopped doing so.
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
