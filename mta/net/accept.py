"""Accepting without making a socket object first, which a client that is turned away does not need."""

from __future__ import annotations

import _socket


def accept(sock: _socket.socket) -> tuple[int, object]:
    """A descriptor and the address of its peer; the descriptor is not inherited by programs. Raises OSError."""
    fd, address = sock._accept()  # type: ignore[attr-defined]  # what socket.accept is made of
    return fd, address
