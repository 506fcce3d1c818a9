"""The paper's tables, from its figures as cards; and what a run says in the same forms."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable

import jsonschema
import pytest

from labd import resources
from labd.cards.read import card_from, stored
from labd.cards.template import schema
from labd.records import KpiRecord, Mode, OperatingPoint, Provenance
from labd.report.entries import Entry, of_card, of_run
from labd.report.paper import PaperTable, TableForm, counted, paper_table, scaled

PAPER = resources.path("fixtures") / "cards/paper"

# Typed from the paper, as printed there; `plain` says which ways of writing are made alike.
TABLE_12 = """
YOLOv2	21.6	44.0	19.2	5.0	22.4	35.5
SSD513	31.2	50.4	33.3	10.2	34.5	49.8
DSSD513	33.2	53.3	35.2	13.0	35.4	51.1
RetinaNet (ours)	39.1	59.1	42.3	21.8	42.7	50.2
"""
TABLE_13 = """
SSD300	23.2	36.1M	35.2B	-
SSD512	26.8	36.1M	99.5B	-
YOLOv2	21.6	50.7M	17.5B	-
MNetV1+SSDLite	22.2	5.1M	1.3B	270ms
MNetV2+SSDLite	22.1	4.3M	0.8B	200ms
"""
TABLE_14 = """
NVIDIA Jetson Nano	GPU	Embedded	472 GOPS @ 5 – 10 W
Nvidia Jetson TX2	GPU	Edge	1,3 TOPS @ 7,5 W
NVIDIA Jetson AGX Xavier	GPU	Edge	30 TOPS @ 30 W
NVIDIA Drive AGX Pegasus	GPU	Automotive	320 TOPS
Intel Movidius Myriad 2 bzw. Myriad X	Chip	Embedded/Edge DL/Vision	4 TOPS @ 1 W (Myriad X)
MobilEye EyeQ4	Chip	Automotive	2.5 TOPS @ 3 W
GreenWaves GAP8	Chip	Battery powered AI	200 MOPS bis 8 GOPS @ <100mW
Canaan Kendryte K210	Chip	Embedded Vision & Audio	250 GOPS @ 300mW
Google Coral Edge TPU	Chip	Edge	4 TOPS @ <2,5W
Lattice sensAI Stack	Soft IP-Core	Embedded	<1 mW – 1 W
Videantis v-MP6000UDXM	Soft IP-Core	Embedded DL/Vision	<6,6 TOPS @ 400 MHz
"""
TABLE_15 = """
Technology	65nm	28nm	65nm	65nm	65nm	65nm
Area	1176k{g}	1950k{g}	2950k{g}	4.0mmx4.0mm (Die Area)	2695k{g}	2695k{g}
On-chip SRAM (kB)	181.5	144	348	256	246	246
Max Core Frequency (MHz)	200	200	200	200	200	200
Bit Precision	16b	4b/8b/16b	8b/16b	1b-16b	8b	8b
Num. of MACs	168 (16b)	512 (8b)	1024 (8b)	13824 (bit-serial)	384 (8b)	384 (8b)
DNN Model	AlexNet	AlexNet	AlexNet	AlexNet	sparse AlexNet	sparse MobileNet
Batch Size	4	N/A	15	N/A	1	1
Core Frequency (MHz)	200	200	200	200	200	200
Bit Precision	16b	N/A	adaptive	8b	8b	8b
Inference/sec (CONV only)	34.7	47	-	346	342.4	-
Inference/sec (Overall)	-	-	254.3	-	278.7	1470.6
Inference/J (CONV only)	124.8	1068.2	-	1097.5	743.4	-
Inference/J (Overall)	-	-	876.6	-	664.6	2560.3
""".replace("{g}", " gates (NAND-2)")


def typed(text: str) -> list[list[str]]:
    return [[plain(cell) for cell in line.split("\t")] for line in text.strip().splitlines()]


def plain(cell: str) -> str:
    """Decimal points, English, one kind of dash, no spaces."""
    words = re.sub(r"(?<=\d),(?=\d)", ".", cell).replace("bzw.", "or").replace("bis", "–").replace("N/A", "-")
    return words.replace(" ", "")


def entries(form: TableForm) -> list[Entry]:
    files = sorted((PAPER / f"table-{form}").glob("*.toml"))
    return [entry for file in files for entry in of_card(stored(card_from(file.read_text("utf-8"), file.name)))]


def rendered(form: TableForm) -> PaperTable:
    return paper_table(form, entries(form))


def cells(rows: Iterable[Iterable[str]]) -> list[list[str]]:
    return [[plain(cell) for cell in row] for row in rows]


def test_table_1_2_renders_with_the_papers_figures() -> None:
    made = rendered(TableForm.DETECTION)
    assert cells(made.table.rows) == typed(TABLE_12)
    assert made.table.head == ("Model", "AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")


def test_table_1_3_renders_with_the_papers_figures() -> None:
    made = rendered(TableForm.RESOURCES)
    assert [[cell.removesuffix("(CPU)") for cell in row] for row in cells(made.table.rows)] == typed(TABLE_13)
    assert made.table.head == ("Network", "mAP", "Params", "MACs", "Inference time")


def test_table_1_4_renders_with_the_papers_figures() -> None:
    made = rendered(TableForm.PEAK)
    assert cells(made.table.rows) == typed(TABLE_14)
    assert made.table.head == ("Accelerator", "Type", "Target application", "Performance")


def test_table_1_5_renders_with_the_papers_figures() -> None:
    made = rendered(TableForm.COMBINED)
    assert made.table.head == ("", "Eyeriss", "ENVISION", "Thinker", "UNPU", "Eyeriss v2", "Eyeriss v2")
    without_units = [[re.sub(r"kBSRAM$|MHz$", "", cell) for cell in row[1:]] for row in cells(made.table.rows)]
    assert without_units == [row[1:] for row in typed(TABLE_15)]
    assert len({row[0] for row in made.table.rows}) == len(made.table.rows)


@pytest.mark.parametrize("form", [form for form in TableForm if form not in (TableForm.MULTI_METRIC, TableForm.BESIDE)])
def test_a_table_says_where_each_of_its_lines_comes_from(form: TableForm) -> None:
    last = rendered(form).notes[-1]
    assert last.startswith(f"declared: Narduzzi et al., Benchmarking Neuromorphic Computing for Inference, table {form} (")
    assert all(entry.name in last for entry in entries(form))


def test_the_papers_cards_follow_the_published_schema() -> None:
    files = sorted(PAPER.glob("*/*.toml"))
    assert len(files) == 4 + 5 + 11 + 5
    for file in files:
        jsonschema.Draft202012Validator(schema()).validate(tomllib.loads(file.read_text("utf-8")))


def test_an_uncertainty_that_a_source_gives_is_printed_with_its_figure() -> None:
    text = 'schema = 1\ncard = "model"\nname = "n"\n[[given]]\nid = "task.accuracy"\nvalue = 0.9\nu = 0.01\nunit = "1"\nsource = "p. 3"\n'
    assert paper_table(TableForm.MULTI_METRIC, list(of_card(stored(card_from(text, "n"))))).table.rows[0][1] == "90.0 ± 2.0"


POINTS = [OperatingPoint(mode, rate, 3.0, "dnn") for mode in (Mode.ALWAYS_ON, Mode.EVENT_SLEEP) for rate in (0.0, 35.0, 2.0)]
CARDS = {
    "hardware": {"type": "MCU", "clock": {"value": 64e6, "unit": "Hz"}, "layers": ["dense"]},
    "model": {"dnn": {"name": "net", "parameters": 2636, "macs": 131600, "footprint": 7216, "weight_bits": "8"}},
}


def record(kpi: str, value: float, unit: str, at: str) -> KpiRecord:
    return KpiRecord(kpi, at, value, unit, value / 200, value * 0.99, value * 1.01, 60, Provenance.MEASURED, "m")


def test_a_run_has_one_line_a_mode_at_its_largest_rate_with_the_interval_and_the_kind_of_energy() -> None:
    records = [
        record("energy_per_inference.at_rate", 9e-3, "J", POINTS[2].key),
        record("energy_per_inference.gross", 1e-3, "J", POINTS[1].key),
        record("energy_per_inference.gross", 5e-3, "J", POINTS[2].key),
        record("energy_per_inference.per_event", 2e-3, "J", POINTS[4].key),
        record("task.accuracy", 0.905, "1", "dnn"),
        record("throughput.at_rate", 9.2e6, "1/s", POINTS[1].key),
    ]
    made = paper_table(TableForm.MULTI_METRIC, list(of_run("board", CARDS, POINTS, records)))
    assert made.table.rows == (
        (
            "board, dnn, always-on at 35 /s",
            "90.50 ± 0.91",
            "2.636k",
            "0.007216 MB",
            "1.000 ± 0.010 mJ (gross)",
            "9.200 ± 0.092 MOPS (at rate)",
        ),
        ("board, dnn, event-sleep at 35 /s", "90.50 ± 0.91", "2.636k", "0.007216 MB", "2.000 ± 0.020 mJ (per event)", "-"),
    )
    assert made.notes[-1].startswith("measured (board, dnn, always-on at 35 /s; board, dnn, event-sleep")


def test_a_run_stands_beside_the_papers_lines() -> None:
    mine = list(of_run("board", CARDS, POINTS[1:2], [record("inference_rate", 35.0, "Hz", POINTS[1].key)]))
    rows = {row[0]: row[1:] for row in paper_table(TableForm.COMBINED, [*entries(TableForm.COMBINED), *mine]).table.rows}
    assert rows["Inference/s (overall)"][-1].startswith("35.00 ± 0.35")
    assert rows["Inference/s (CONV only)"][-1] == "-"
    assert (rows["Batch size"][-1], rows["Core frequency"][-1], rows["Model"][-1], rows["Area"][-1]) == ("1", "64 MHz", "net", "-")


def test_what_no_line_has_and_the_paper_has_no_column_for_takes_no_room() -> None:
    with_accuracy = list(of_run("b", CARDS, POINTS[1:2], [record("task.accuracy", 0.9, "1", "dnn")]))
    assert "Accuracy" in paper_table(TableForm.RESOURCES, with_accuracy).table.head
    assert "Accuracy" not in rendered(TableForm.RESOURCES).table.head


@pytest.mark.parametrize(("value", "says"), [(0.0, "0 W"), (999.99, "999.99 W"), (1000.0, "1 kW"), (2.5e-6, "2.5 µW"), (-3e-3, "-3 mW")])
def test_a_declared_figure_keeps_its_digits(value: float, says: str) -> None:
    assert scaled(value, "W") == says


@pytest.mark.parametrize(("value", "says"), [(None, "-"), (12, "12"), (131600, "131.6k"), (36100000, "36.1M"), (8e8, "0.8B")])
def test_counts_are_written_as_papers_do(value: float | None, says: str) -> None:
    assert counted(value) == says
