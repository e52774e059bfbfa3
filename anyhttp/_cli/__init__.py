"""The ``anyhttp`` command; the extra ``cli`` brings what it needs."""

from __future__ import annotations

import sys
from typing import NoReturn

NEEDED = frozenset({"click", "rich", "trustme"})


def main() -> NoReturn:
    """Run the command with the arguments of this process, and exit with its status."""
    try:
        # Not at the top: they may be missing.
        from ._commands import run
        from ._run import exit_at_once

        status = run(sys.argv[1:], exit_at_once)
    except ModuleNotFoundError as exc:
        missing = (exc.name or "").partition(".")[0]
        if missing not in NEEDED:
            raise
        sys.exit(f"anyhttp: {missing} is not installed; try: pip install 'anyhttp[cli]'")
    except KeyboardInterrupt:  # before or after anything of ours could be running
        status = 130
    sys.exit(status)
