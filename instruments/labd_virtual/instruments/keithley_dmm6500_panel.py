"""What a DMM6500 has besides measuring: language, terminals, clock, display, and settings that change nothing here."""

from __future__ import annotations

from collections.abc import Mapping

from labd_virtual.instruments.keithley_dmm6500_events import EPOCH, stamp
from labd_virtual.persona import PersonaSetup
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_params import Boolean, Choice, Integer, Number, Parameter, Text, Word
from labd_virtual.scpi_tree import Call, CommandTree

_SCREENS = (
    "HOME|HOME_LARGe_reading|READing_table|GRAPh|HISTogram|SWIPE_FUNCtions|SWIPE_GRAPh|SWIPE_SECondary|SWIPE_SETTings|SWIPE_STATistics"
    "|SWIPE_USER|SWIPE_CHANnel|SWIPE_NONSwitch|SWIPE_SCAN|CHANNEL_CONTrol|CHANNEL_SETTings|CHANNEL_SCAN|PROCessing"
)  # p. 13-40
_LANGUAGES = "SCPI|TSP|SCPI2000|SCPI34401"
_KEPT: Mapping[str, tuple[Parameter, str]] = {  # settings that are kept and answered
    "DISPlay:LIGHt:STATe": (Choice("ON100|ON75|ON50|ON25|OFF|BLACkout"), "ON50"),
    "DISPlay:BUFFer:ACTive": (Text(), "defbuffer1"),
    "ROUTe:SCAN:COUNt:SCAN": (Number("", 0, 100e6, infinity=True), "1"),
    "ROUTe:SCAN:INTerval": (Number("S", 0, 100e3), "0"),
    "TRIGger:CONTinuous": (Choice("OFF|AUTO|RESTart"), "AUTO"),
    "TRIGger:DIGitize:STIMulus": (Choice("EXTernal|NONE"), "NONE"),
    "SYSTem:ACCess": (Choice("FULL|EXCLusive|PROTected|LOCKout"), "FULL"),
}


def declare_panel(tree: CommandTree, setup: PersonaSetup, *, front: bool) -> None:
    """The TERMINALS switch can be asked, not set."""
    _Panel(tree, setup, front=front)


def declare_kept(tree: CommandTree, pattern: str, kind: Parameter, usual: str) -> None:
    """A setting that is kept and answered and does nothing here."""
    kept = [usual]
    tree.add(pattern, lambda c: kept.__setitem__(0, f"{c[0]:.7G}" if isinstance(c[0], float) else c[0]), kind)
    tree.query(pattern, lambda _: kept[0])


class _Panel:
    def __init__(self, tree: CommandTree, setup: PersonaSetup, *, front: bool) -> None:
        self._setup = setup
        tree.query("*LANG", lambda _: "TSP" if setup.trap == "tsp" else "SCPI")
        tree.add("*LANG", self._language, Choice(_LANGUAGES))
        tree.query("ROUTe:TERMinals", lambda _: "FRON" if front else "REAR")
        tree.query("SYSTem:LFRequency", lambda _: f"{setup.mains_hz:.0f}")
        tree.query("SYSTem:VERSion", lambda _: "1999.0")
        tree.query("SYSTem:CARD<1-1>:IDN", lambda _: "Empty Slot")
        tree.query("SYSTem:TIME", self._time, Integer(1, 1, optional=True))
        tree.add("SYSTem:TIME", lambda _: None, *[Number()] * 3, *[Number(optional=True)] * 3)
        tree.add("SYSTem:BEEPer[:IMMediate]", lambda _: None, Number("HZ", 20, 8000), Number("S", 0.001, 100))
        tree.add("DISPlay:SCReen", lambda _: None, Choice(_SCREENS))
        tree.add("DISPlay:CLEar", lambda _: None)
        tree.add("DISPlay:USER<1-2>:TEXT[:DATA]", lambda _: None, Text())
        tree.add("DISPlay:READing:FORMat", lambda _: None, Word())
        tree.add("TRACe:LOG:STATe", lambda _: None, Boolean(), Text(optional=True))
        for pattern, (kind, usual) in _KEPT.items():
            declare_kept(tree, pattern, kind, usual)

    def _language(self, call: Call) -> None:
        if call[0] != "SCPI":
            raise ScpiError(-221)  # another command set comes with a power cycle; none is built here

    def _time(self, call: Call) -> str:
        now_ns = self._setup.clock.now_ns()
        return stamp(now_ns) if call[0] else str(int(EPOCH.timestamp() + now_ns * 1e-9))
