"""Opening a serial port where the system gives less than Linux does."""

from __future__ import annotations

import io
import os
import pty

import pytest
import serial

from labd.dut.port import PortSettings, open_port


def test_a_port_without_a_descriptor_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyserial's ports on Windows have the method and refuse it."""

    def refused(_port: serial.Serial) -> int:
        raise io.UnsupportedOperation("fileno")

    master, slave = pty.openpty()
    try:
        monkeypatch.setattr(serial.Serial, "fileno", refused)
        with open_port(PortSettings(os.ttyname(slave)), read_s=1.0) as port:
            os.write(master, b"ready")
            assert port.read(5) == b"ready"
    finally:
        os.close(master)
        os.close(slave)
