"""Who is at the other end of the guard's socket, as the kernel says."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import struct
from dataclasses import dataclass

from labd.guard.holder import Holder


@dataclass(frozen=True, slots=True)
class Peer:
    """owns: of this process's user, or root. Others are those whom the socket's file lets in: by its mode, those of its group."""

    holder: Holder
    user: str
    owns: bool


def peer_of(writer: asyncio.StreamWriter) -> Peer | None:
    """None for one that is gone already. Its credentials are those at the time of its connect [unix(7), SO_PEERCRED]."""
    connection: socket.socket = writer.get_extra_info("socket")
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    holder = Holder.of(pid)
    return None if holder is None else Peer(holder, _name(uid), uid in (os.getuid(), 0))


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
