"""Sockets that a forked child has inherited from its parent."""

from __future__ import annotations

import os
import socket

__all__ = ("leave_to_parent",)


def leave_to_parent(raw_socket: socket.socket) -> None:
    """Let go of a socket that this process shares with its parent, which goes on using it.

    Nothing is sent, and the connection is not shut down.  The event loop of the parent, of which
    this process has a copy, must not be told: both may share the kernel's table of watched
    descriptors, so the parent would no longer be woken for the connection.  As the copy may still
    refer to the descriptor by its number, that number is not made free for another socket.
    """
    descriptor = raw_socket.fileno()
    if descriptor < 0:
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(nothing, descriptor, inheritable=False)
    finally:
        os.close(nothing)
