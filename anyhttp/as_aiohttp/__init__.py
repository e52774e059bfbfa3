"""This client in place of aiohttp: ``import aiohttp`` then gives it to programs and libraries."""

from __future__ import annotations

from ._finder import FINDER
from ._imported_before import refuse_if_imported

__all__ = ("install_as_aiohttp", "uninstall_as_aiohttp")


def install_as_aiohttp() -> None:
    """Make ``import aiohttp`` give this client, in this process, from now on.

    Call it before anything imports aiohttp.  Calling it again changes nothing.  Names that belong
    to servers come from the installed aiohttp, which is imported when one of them is used.
    :func:`uninstall_as_aiohttp` undoes it.

    :raises ImportError: aiohttp has been imported before
    """
    if not FINDER.standing_in:
        refuse_if_imported()
        FINDER.stand_in()


def uninstall_as_aiohttp() -> None:
    """Undo :func:`install_as_aiohttp`: ``import aiohttp`` gives what is installed again.

    What has been imported in between does not change.  If nothing was installed, it does nothing.
    """
    if FINDER.standing_in:
        FINDER.step_aside()
