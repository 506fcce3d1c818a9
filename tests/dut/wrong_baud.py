"""What a UART makes of bytes that were sent at another baud rate."""

from __future__ import annotations


def resampled(data: bytes, sent_baud: int, read_baud: int) -> bytes:
    """8N1 both ways: the receiver waits for a falling edge and looks at the middle of each of its own bits; a stop bit may be missing."""
    levels = [level for byte in data for level in (0, *(byte >> k & 1 for k in range(8)), 1)]
    width = read_baud / sent_baud  # of a sent bit, in bits of the receiver
    end = len(levels) * width

    def level(t: float) -> int:
        return levels[int(t / width)] if 0 <= t < end else 1

    edges = [k * width for k in range(len(levels)) if levels[k] == 0 and (k == 0 or levels[k - 1] == 1)]
    read, free = bytearray(), 0.0
    for edge in edges:
        if edge >= free:
            read.append(sum(level(edge + 1.5 + k) << k for k in range(8)))
            free = edge + 9.5
    return bytes(read)
