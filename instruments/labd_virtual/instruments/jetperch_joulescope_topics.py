"""Topics of a JS110 and a JS220 with the metadata that pyjoulescope_driver publishes for them.

JS110, and topics of a JS220 that begin with `h/` or `c/`: src/devices/js110/js110_usb.c and src/devices/js220/js220_usb.c of
jetperch/joulescope_driver. Topics of a JS220 that begin with `s/` are told by its firmware, which no document gives: names and codes of
ranges as the vendor's pyjoulescope_ui and its scripts have them (129 for 10 A, mode 7 for manual), the rest as doc/js320.json tells it of
the newer JS320. By no source: the code of `auto` in s/i/range/mode. Left out: outputs, raw
values of the converters, statistics and how a JS110 bridges the switching of its ranges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Meta = Mapping[str, Any]
Options = Sequence[Sequence[Any]]
VERSION = 1 << 24 | 3 << 16  # 1.3.0 as major8.minor8.patch16
FREQUENCIES = (
    *((hz, f"{hz // 1_000_000} MHz") for hz in (2_000_000, 1_000_000)),
    *((hz, f"{hz // 1000} kHz") for hz in (500_000, 200_000, 100_000, 50_000, 20_000, 10_000, 5000, 2000, 1000)),
    *((hz, f"{hz} Hz") for hz in (500, 200, 100, 50, 20, 10, 5, 2, 1)),
)
RATES = FREQUENCIES[7:]  # of messages
RANGES_A = {
    "js110": {1: 10.0, 2: 2.0, 4: 0.18, 8: 18e-3, 16: 1.8e-3, 32: 180e-6, 64: 18e-6},
    "js220": {129: 10.0, 130: 0.18, 132: 18e-3, 136: 1.8e-3, 144: 180e-6, 160: 18e-6},
}
RANGES_V = {"js110": (15.0, 5.0), "js220": (15.0, 2.0)}
INPUTS = {"js110": (0, 1), "js220": (0, 1, 2, 3, 7)}
AUTO_110, MODE_OFF, MODE_AUTO, MODE_MANUAL = 128, 0, 6, 7
AMPERES = {10.0: "10 A", 2.0: "2 A", 0.18: "180 mA", 18e-3: "18 mA", 1.8e-3: "1.8 mA", 180e-6: "180 µA", 18e-6: "18 µA"}
IO_MV = (1800, 2100, 2500, 2700, 3000, 3300, 3600, 5000)


def metadata(model: str) -> dict[str, Meta]:
    """By topic, without the device's path."""
    return dict(JS110 if model == "js110" else JS220)


def _meta(dtype: str, brief: str, default: object = None, options: Options = (), **more: object) -> Meta:
    told: dict[str, Any] = {"dtype": dtype, "brief": brief, **more}
    if default is not None:
        told["default"] = default
    if options:
        told["options"] = [list(row) for row in options]
    return told


def _stream(brief: str) -> Meta:
    return _meta("bool", f"Enable {brief}.", 0)


def _ranges(model: str) -> Options:
    return tuple((code, AMPERES[full]) for code, full in RANGES_A[model].items())


FS = _meta("u32", "The sampling frequency.", 2_000_000, FREQUENCIES)
LSB_SOURCES = ((0, "normal"), (2, "gpi0"), (3, "gpi1"))
FLOATS = {
    "s/i/ctrl": _stream("data stream for float32 current"),
    "s/v/ctrl": _stream("data stream for float32 voltage"),
    "s/p/ctrl": _stream("data stream for float32 power"),
    "s/i/range/ctrl": _stream("current range input data stream (u4)"),
}
JS110: Mapping[str, Meta] = {
    "s/i/range/select": _meta("u8", "The current range selection.", 128, ((128, "auto"), *_ranges("js110"), (0, "off"))),
    "s/v/range/select": _meta("u8", "The voltage range selection.", 0, ((0, "15 V"), (1, "5 V"))),
    "s/extio/voltage": _meta("u32", "The external IO voltage.", 3300, ((0, "0V", "off"), *((mv, f"{mv / 1e3:.1f}V") for mv in IO_MV))),
    "s/i/lsb_src": _meta("u8", "The current signal least-significant bit mapping.", 0, LSB_SOURCES),
    "s/v/lsb_src": _meta("u8", "The voltage signal least-significant bit mapping.", 0, LSB_SOURCES),
    "h/fs": FS,
    **FLOATS,
    "s/gpi/0/ctrl": _stream("general purpose input 0 data stream (u1)"),
    "s/gpi/1/ctrl": _stream("general purpose input 1 data stream (u1)"),
}
FROM_HOST = {  # of a JS220: told by the package
    "c/fw/version": _meta(
        "u32",
        "The controller firmware version.",
        detail="The version is formatted as major8.minor8.patch16.",
        format="version",
        flags=["ro"],
    ),
    "c/hw/version": _meta(
        "u32",
        "The hardware firmware version.",
        detail="The version is formatted as major8.minor8.patch16.",
        format="version",
        flags=["ro"],
    ),
    "h/fs": FS,
    "h/fp": _meta("u32", "The approximate sample publish frequency.", 20, RATES),
}
JS220: Mapping[str, Meta] = {
    **FROM_HOST,
    "c/gpio/vref": _meta("u8", "The GPIO Vref source.", 0, ((0, "external"), (1, "3v3"))),
    "s/i/range/mode": _meta("u8", "Select the current range mode.", 0, ((MODE_OFF, "off"), (MODE_AUTO, "auto"), (MODE_MANUAL, "manual"))),
    "s/i/range/select": _meta("u32", "The current range manual shunt resistor selection.", 0, ((0, "off"), *_ranges("js220"))),
    "s/v/range/mode": _meta("u8", "Select the voltage range mode.", 0, ((0, "auto"), (1, "manual"))),
    "s/v/range/select": _meta("u32", "The voltage source selection.", 0, ((0, "15 V"), (1, "2 V"))),
    **FLOATS,
    **{f"s/gpi/{k}/ctrl": _stream(f"general purpose input {k} data stream") for k in INPUTS["js220"]},
}
