"""A USBTMC instrument for pyusb: a backend whose one device holds the host to the framing of USBTMC 1.0 (USB-IF, 2003) and USB488."""

from __future__ import annotations

import struct
from collections import deque
from types import SimpleNamespace
from typing import Any

import usb.backend
import usb.core

from tests.instruments.double_talker import Talker

RESOURCE = "USB0::0x1234::0x5678::SN42::0::INSTR"
BULK_IN, BULK_OUT, PACKET = 0x81, 0x02, 512
STRINGS = {1: "ACME", 2: "MODEL 1", 3: "SN42"}
DEV_DEP_MSG_OUT, REQUEST_DEV_DEP_MSG_IN, DEV_DEP_MSG_IN = 1, 2, 2  # table 2
EOM = 1
SUCCESS, PENDING, NOT_IN_PROGRESS = 0x01, 0x02, 0x81  # table 16
ABORT_IN, CHECK_ABORT_IN, CLEAR, CHECK_CLEAR, CAPABILITIES, REN_CONTROL = 3, 4, 5, 6, 7, 160


def _timeout() -> usb.core.USBTimeoutError:
    return usb.core.USBTimeoutError("Operation timed out", -7, 110)


class UsbtmcBackend(usb.backend.IBackend):  # type: ignore[misc]
    """most: payload bytes that the device puts into one transfer; fewer than were asked for leave the message unended."""

    def __init__(self, talker: Talker, *, most: int = 1 << 30) -> None:
        self.talker = talker
        self.cleared = 0
        self._most = most
        self._tag = 0
        self._asked: tuple[int, int] | None = None
        self._transfers: deque[bytes] = deque()
        self._halted = False
        self._status: deque[list[int]] = deque()

    # --- descriptors

    def enumerate_devices(self) -> Any:
        yield "device"

    def get_device_descriptor(self, dev: object) -> Any:
        return SimpleNamespace(
            bLength=18,
            bDescriptorType=1,
            bcdUSB=0x200,
            bDeviceClass=0,
            bDeviceSubClass=0,
            bDeviceProtocol=0,
            bMaxPacketSize0=64,
            idVendor=0x1234,
            idProduct=0x5678,
            bcdDevice=0x100,
            iManufacturer=1,
            iProduct=2,
            iSerialNumber=3,
            bNumConfigurations=1,
            address=1,
            bus=1,
            port_number=1,
            port_numbers=(1,),
            speed=3,
        )

    def get_configuration_descriptor(self, dev: object, config: int) -> Any:
        if config:
            raise IndexError(config)
        return SimpleNamespace(
            bLength=9,
            bDescriptorType=2,
            wTotalLength=32,
            bNumInterfaces=1,
            bConfigurationValue=1,
            iConfiguration=0,
            bmAttributes=0x80,
            bMaxPower=50,
            extra_descriptors=[],
        )

    def get_interface_descriptor(self, dev: object, intf: int, alt: int, config: int) -> Any:
        if intf or alt or config:
            raise IndexError(intf)
        return SimpleNamespace(
            bLength=9,
            bDescriptorType=4,
            bInterfaceNumber=0,
            bAlternateSetting=0,
            bNumEndpoints=2,
            bInterfaceClass=0xFE,
            bInterfaceSubClass=3,
            bInterfaceProtocol=1,
            iInterface=0,
            extra_descriptors=[],
        )

    def get_endpoint_descriptor(self, dev: object, ep: int, intf: int, alt: int, config: int) -> Any:
        return SimpleNamespace(
            bLength=7,
            bDescriptorType=5,
            bEndpointAddress=(BULK_IN, BULK_OUT)[ep],
            bmAttributes=2,
            wMaxPacketSize=PACKET,
            bInterval=0,
            bRefresh=0,
            bSynchAddress=0,
            extra_descriptors=[],
        )

    def open_device(self, dev: object) -> object:
        return dev

    def close_device(self, dev_handle: object) -> None: ...

    def set_configuration(self, dev_handle: object, config_value: int) -> None: ...

    def get_configuration(self, dev_handle: object) -> int:
        return 1

    def claim_interface(self, dev_handle: object, intf: int) -> None: ...

    def release_interface(self, dev_handle: object, intf: int) -> None: ...

    def is_kernel_driver_active(self, dev_handle: object, intf: int) -> bool:
        return False

    # --- bulk endpoints

    def bulk_write(self, dev_handle: object, ep: int, intf: int, data: Any, timeout: int) -> int:
        raw = data.tobytes()
        assert ep == BULK_OUT
        assert not self._halted, "the host did not clear the halt of Bulk-OUT after a clear (4.2.1.7)"
        assert len(raw) >= 12, "a Bulk-OUT header has 12 bytes (table 1)"
        assert len(raw) % 4 == 0, "a transfer is padded to a multiple of 4 bytes (3.2)"
        kind, tag, inverse, reserved = raw[:4]
        assert tag, "a tag is 1 to 255"
        assert inverse == ~tag & 0xFF
        assert not reserved
        assert tag != self._tag, "each transfer has another tag than the one before"
        self._tag = tag
        size, attributes = struct.unpack_from("<LB", raw, 4)
        if kind == DEV_DEP_MSG_OUT:
            assert len(raw) - 12 - size in range(4), "as many bytes as TransferSize says, and up to 3 of padding"
            self.talker.take(raw[12 : 12 + size], end=bool(attributes & EOM))
        else:
            assert kind == REQUEST_DEV_DEP_MSG_IN
            assert self._asked is None, "one request at a time"
            assert not self._transfers, "the transfer before was not read to its end"
            assert size > 0
            self._asked = (tag, size)
        return len(raw)

    def bulk_read(self, dev_handle: object, ep: int, intf: int, buff: Any, timeout: int) -> int:
        assert ep == BULK_IN
        if not self._transfers:
            self._answer()
        if not self._transfers:
            raise _timeout()
        transfer = self._transfers.popleft()
        taken = transfer[: len(buff)]
        buff[: len(taken)] = type(buff)("B", taken)
        rest = transfer[len(taken) :]
        if rest or (len(taken) == len(buff) and len(taken) and len(taken) % PACKET == 0):  # else a packet that is not full has ended it
            self._transfers.appendleft(rest)
        return len(taken)

    def _answer(self) -> None:
        if self._asked is None or not self.talker.out:
            return
        tag, size = self._asked
        self._asked = None
        data, ends = self.talker.give(min(size, self._most))
        header = struct.pack("<BBBxLBxxx", DEV_DEP_MSG_IN, tag, ~tag & 0xFF, len(data), EOM if ends else 0)
        self._transfers.append(header + data + b"\0" * (-len(data) % 4))

    def clear_halt(self, dev_handle: object, ep: int) -> None:
        if ep == BULK_OUT:
            self._halted = False

    # --- control endpoint

    def ctrl_transfer(self, dev_handle: object, kind: int, request: int, value: int, index: int, data: Any, timeout: int) -> int:
        answer = self._control(kind, request, value, index)[: len(data)]
        data[: len(answer)] = type(data)("B", answer)
        return len(answer)

    def _control(self, kind: int, request: int, value: int, index: int) -> list[int]:
        if (kind, request) == (0x80, 6):  # GET_DESCRIPTOR of a string
            text = STRINGS[value & 0xFF].encode("utf-16-le") if value & 0xFF else b"\x09\x04"
            return [len(text) + 2, 3, *text]
        if (kind, request) == (0xA1, CAPABILITIES):
            return [SUCCESS, 0, 0, 1, *[0] * 10, 6, *[0] * 9]  # USB488.2, REN_CONTROL
        if (kind, request) == (0xA1, REN_CONTROL):
            return [SUCCESS]
        if (kind, request) == (0xA2, ABORT_IN):
            assert index == BULK_IN
            if self._asked is None or self._asked[0] != value:
                return [NOT_IN_PROGRESS, 0]
            self._asked = None
            self._transfers.append(b"")  # a short packet ends the transfer (4.2.1.4)
            self._status.append([SUCCESS, 0, 0, 0, 0, 0, 0, 0])
            return [SUCCESS, value]
        if (kind, request) == (0xA2, CHECK_ABORT_IN):
            return self._status.popleft()
        if (kind, request) == (0xA1, CLEAR):
            self.talker.clear()
            self._asked, self._halted, self.cleared = None, True, self.cleared + 1
            self._transfers.clear()
            self._status.extend(([PENDING, 0], [SUCCESS, 0]))
            return [SUCCESS]
        if (kind, request) == (0xA1, CHECK_CLEAR):
            return self._status.popleft()
        raise AssertionError(f"request {request} of type {kind:#x}")
