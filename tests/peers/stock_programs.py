"""What drivers that others have written do with an instrument, each as a program of its own, and which errors they leave in its queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Stock:
    """driver: of labd for the same instrument. program: fills `said` with what it has read. wrong: numbers of the errors that its own
    commands leave in the queue of the real instrument. error: how that is read. options: of the persona, besides those that its test has.
    tables: ranges of the model that the options choose, where they are not those of its test. also: what else it must have said."""

    driver: str
    program: str
    wrong: tuple[int, ...] = ()
    error: str = "SYST:ERR?"
    options: Mapping[str, object] = field(default_factory=dict)
    tables: Mapping[str, tuple[float, ...]] | None = None
    also: Mapping[str, object] = field(default_factory=dict)


FINE = {"current": tuple(10.0**e for e in range(-8, 1)), "voltage": (0.02, 0.2, 2.0, 20.0, 200.0)}  # of a 2450
STOCK = {
    "QCoDeS KeysightN6705B": Stock(
        "keysight_n6705c",
        """
from qcodes.instrument_drivers.Keysight import KeysightN6705B
mainframe = KeysightN6705B("n6705", resource, visalib="@py")
said["model"] = mainframe.get_idn()["model"]
channel = mainframe.ch1
channel.source_voltage(supply)
channel.source_current(0.1)
channel.enable("on")
said["on"] = channel.enable()
said["voltage"], said["current"] = channel.voltage(), channel.current()
channel.enable("off")
mainframe.close()
""",
        also={"model": "N6705C", "on": "on"},
    ),
    "QCoDeS KeysightN6705B with a limit": Stock(
        "keysight_n6705c",
        """
from qcodes.instrument_drivers.Keysight import KeysightN6705B
mainframe = KeysightN6705B("n6705", resource, visalib="@py")
mainframe.ch1.source_voltage(supply)
mainframe.ch1.voltage_limit(4.0)  # sends `@(1)` where a channel list is `(@1)`
mainframe.ch1.enable("on")
said["voltage"], said["current"] = mainframe.ch1.voltage(), mainframe.ch1.current()
mainframe.close()
""",
        wrong=(-102,),
    ),
    "pymeasure Keithley2400": Stock(
        "keithley_2400",
        """
from pymeasure.instruments.keithley import Keithley2400
smu = Keithley2400(resource, visa_library="@py", read_termination="\\n", write_termination="\\n")
smu.apply_voltage(voltage_range=20, compliance_current=0.1)
smu.measure_current(nplc=1, current=0.1, auto_range=False)
smu.source_voltage = supply
smu.enable_source()
said["on"] = smu.source_enabled
said["current"], said["voltage"] = smu.current, smu.voltage
smu.disable_source()
""",
        also={"on": True},
    ),
    "pymeasure Keithley2400 with its buffer": Stock(
        "keithley_2400",
        """
from pymeasure.instruments.keithley import Keithley2400
smu = Keithley2400(resource, visa_library="@py", read_termination="\\n", write_termination="\\n")
smu.apply_voltage(voltage_range=20, compliance_current=0.1)
smu.measure_current(nplc=0.1, current=0.1, auto_range=False)
smu.source_voltage = supply
smu.config_buffer(10)
smu.enable_source()
smu.start_buffer()
smu.wait_for_buffer(timeout=10, interval=0.01)
said["values"] = len(smu.buffer_data)
said["current"] = smu.current
smu.disable_buffer()
smu.shutdown()
""",
        also={"values": 50},
    ),
    "pymeasure Keithley2450": Stock(
        "keithley_2450",
        """
from pymeasure.instruments.keithley import Keithley2450
smu = Keithley2450(resource, visa_library="@py", read_termination="\\n", write_termination="\\n")
smu.reset()
smu.use_rear_terminals()
smu.apply_voltage(voltage_range=20, compliance_current=0.1)
smu.measure_current(nplc=1, current=0.1, auto_range=False)
smu.source_voltage = supply
smu.enable_source()
said["on"] = smu.source_enabled
smu.current_filter_type, smu.current_filter_count, smu.current_filter_state = "REP", 2, "ON"
said["current"] = smu.current
said["mean"] = smu.means
smu.source_voltage_delay = 1e-3
smu.source_voltage_delay_auto = True
smu.voltage_output_off_state = "HIMP"
smu.beep(1000, 0.1)
smu.measure_voltage()
said["voltage"] = smu.voltage
smu.shutdown()
""",
        options={"model": "2450"},
        tables=FINE,
        also={"on": True, "mean": 0.01},
    ),
    "pymeasure Keithley2450 with its buffer": Stock(
        "keithley_2450",
        """
from pymeasure.instruments.keithley import Keithley2450
smu = Keithley2450(resource, visa_library="@py", read_termination="\\n", write_termination="\\n")
smu.apply_voltage(voltage_range=20, compliance_current=0.1)
smu.source_voltage = supply
smu.enable_source()
said["current"] = smu.current
smu.check_errors = list  # else it would read the queue and tell the log only
smu.config_buffer(10)  # sends STATus:MEASurement and TRACe:FEED, which are a 2400's and which the 2450 has not
smu.disable_source()
""",
        wrong=(-113, -113),
        options={"model": "2450"},
        tables=FINE,
    ),
    "pymeasure Keithley2600": Stock(
        "keithley_2600b",
        """
from pymeasure.instruments.keithley import Keithley2600
smu = Keithley2600(resource, visa_library="@py", read_termination="\\n", write_termination="\\n").ChA
smu.apply_voltage(compliance_current=0.1)
smu.measure_current(nplc=1, current=0.1, auto_range=False)
smu.source_voltage = supply
smu.source_output = "ON"
said["on"] = smu.source_output
said["current"], said["voltage"] = smu.current, smu.voltage
smu.source_output = "OFF"
""",
        error="print(errorqueue.next())",
        also={"on": "ON"},
    ),
    "pymeasure KeithleyDMM6500": Stock(
        "keithley_dmm6500",
        """
from pymeasure.instruments.keithley import KeithleyDMM6500
meter = KeithleyDMM6500(resource, visa_library="@py", write_termination="\\n")
meter.measure_current(max_current=0.1)
meter.nplc = 1
meter.autozero_enabled = False
meter.trigger_single_autozero()
said["current"] = meter.current
said["range"], said["terminals"] = meter.range, meter.terminals_used
meter.check_errors()
""",
        also={"range": 0.1, "terminals": "REAR"},
    ),
    "QCoDeS Keithley2400": Stock(
        "keithley_2400",
        """
from qcodes.instrument_drivers.Keithley import Keithley2400
smu = Keithley2400("smu", resource, visalib="@py")
smu.mode("VOLT")
smu.rangev(20)
smu.compliancei(0.1)
smu.nplci(1)
smu.volt(supply)
smu.output("on")
said["on"], said["current"] = smu.output(), smu.curr()
smu.sense("VOLT")
said["voltage"] = smu.volt()
smu.output("off")
smu.close()
""",
        also={"on": True},
    ),
    "QCoDeS Keithley2450": Stock(
        "keithley_2450",
        """
from qcodes.instrument_drivers.Keithley import Keithley2450
smu = Keithley2450("smu", resource, visalib="@py")
smu.reset()
said["model"] = smu.get_idn()["model"]
smu.terminals("rear")
smu.source_function("voltage")
smu.sense_function("current")
smu.source.range(20)
smu.source.limit(0.1)
smu.source.delay(1e-3)
smu.source.read_back_enabled(True)
smu.sense.four_wire_measurement(False)
smu.sense.range(0.1)
smu.sense.nplc(1)
smu.sense.auto_zero_enabled(True)
smu.source.voltage(supply)
with smu.output_enabled.set_to(True):
    said["on"] = smu.output_enabled()
    said["current"] = smu.sense.current()
    said["tripped"] = smu.source.limit_tripped()
    smu.sense.count(3)
    with smu.buffer("run", 100, "STANdard") as buffer:
        buffer.trigger_start()
        said["readings"] = buffer.number_of_readings()
        said["run"] = buffer.get_data(1, 3, readings_only=True)
    smu.sense_function("voltage")
    said["voltage"] = smu.sense.voltage()
smu.sense_function("current")
smu.source.sweep_setup(0, supply, 4)
smu.sense.sweep.setpoints = (smu.source.sweep_axis,)
said["sweep"] = list(smu.sense.sweep())
smu.close()
""",
        options={"model": "2450"},
        tables=FINE,
        also={"model": "2450", "on": True, "tripped": False, "readings": 3, "run": [0.01] * 3, "sweep": [0.01] * 4},
    ),
    "QCoDeS Keithley2602B": Stock(
        "keithley_2600b",
        """
from qcodes.dataset import LinSweep
from qcodes.instrument_drivers.Keithley import Keithley2602B
frame = Keithley2602B("smu", resource, visalib="@py")
smu = frame.smua
said["model"] = frame.get_idn()["model"]
smu.mode("voltage")
smu.sourcerange_v(6)
smu.limiti(0.1)
smu.measurerange_i(0.1)
smu.nplc(1)
smu.volt(supply)
smu.output("on")
said["on"], said["current"], said["voltage"] = smu.output(), smu.curr(), smu.volt()
smu.timetrace_npts(5)
smu.timetrace_dt(0.05)
said["readings"] = len(smu.timetrace())  # by a script that it sends
smu.setup_fastsweep(LinSweep(smu.volt, 0, supply, 4))
said["sweep"] = len(smu.fastsweep())  # by another one
smu.output("off")
frame.close()
""",
        error="print(errorqueue.next())",
        also={"model": "2602B", "on": True, "readings": 5, "sweep": 4},
    ),
    "QCoDeS Keithley6500": Stock(
        "keithley_dmm6500",
        """
from qcodes.instrument_drivers.Keithley import Keithley6500
meter = Keithley6500("meter", resource, reset_device=True, visalib="@py")
meter.mode("dc current")
meter.range(0.1)
meter.nplc(1)
meter.averaging_enabled(False)
said["range"], said["auto"] = meter.range(), meter.auto_range_enabled()
said["current"] = meter.amplitude()
meter.close()
""",
        also={"range": 0.1},
    ),
    "QCoDeS Keithley7510": Stock(
        "keithley_dmm6500",
        """
from qcodes.instrument_drivers.Keithley import Keithley7510
meter = Keithley7510("meter", resource, visalib="@py")
meter.sense_function("current")
meter.sense.range(0.1)
meter.sense.nplc(1)
said["current"] = meter.sense.current()
meter.digi_sense_function("current")
meter.digi_sense.range(0.1)
meter.digi_sense.acq_rate(1000)
meter.digi_sense.count(3)
said["digitized"] = meter.digi_sense.current()
with meter.buffer("run", 100, "STANdard") as buffer:
    buffer.trigger_start()
    meter.wait()
    said["readings"] = buffer.number_of_readings()
meter.close()
""",
        options={"model": "DMM7510"},
        also={"digitized": 0.01, "readings": 3},
    ),
    "QCoDeS KeysightB2962A": Stock(
        "keysight_b2900",
        """
from qcodes.instrument_drivers.Keysight import KeysightB2962A
frame = KeysightB2962A("smu", resource, visalib="@py")
smu = frame.ch1
smu.source_mode("voltage")
smu.current_limit(0.1)
smu.source_voltage(supply)
smu.remote_sensing("off")
smu.enable("on")
said["on"], said["voltage"], said["current"] = smu.enable(), smu.voltage(), smu.current()
smu.enable("off")
frame.close()
""",
        also={"on": True},
    ),
}
