"""MLMark, QuTiBench, NeuroBench, simulators and plain tables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labd.errors import FileError
from labd.interchange.foreign import Added, Foreign, ForeignFigure
from labd.interchange.kinds import Kind, read_foreign
from labd.records import Provenance
from tests.interchange import samples


def read(text: str, file: str = "f.txt", kind: Kind | None = None, **asked: Any) -> tuple[Foreign, ...]:
    return read_foreign({file: text.encode()}, kind, Added(**asked))


def values(found: Foreign) -> dict[str, tuple[Any, str]]:
    return {one.id: (one.value, one.unit) for one in found.figures}


def test_mlmarks_table_names_processor_target_and_hardware() -> None:
    (found,) = read(samples.MLMARK)
    assert found.name == "Some CPU @ 2.00GHz, tensorflow on cpu"
    assert values(found) == {
        "inference_rate.back_to_back": (50.0, "Hz"),
        "latency.host.p95": (pytest.approx(0.0205), "s"),
        "task.accuracy": (pytest.approx(0.701), "1"),
    }
    assert {(one.model, one.precision, one.batch) for one in found.figures} == {("mobilenet", "fp32", 1)}


def test_mlmarks_csv_says_the_same_as_its_text() -> None:
    lines = [line.removeprefix("-INFO- ").split() for line in samples.MLMARK.splitlines() if "mobilenet" in line or "Workload" in line]
    (found,) = read("\n".join(",".join(line) for line in lines))
    assert values(found) == values(read(samples.MLMARK)[0])


def test_qutibench_gives_a_card_a_platform_and_leaves_out_empty_cells() -> None:
    ncs, tx2 = read(samples.QUTIBENCH, "f.csv")
    assert (ncs.name, tx2.name) == ("NCS", "TX2")
    scopes = {(one.id, one.scope) for one in tx2.figures}
    assert ("latency", "system") in scopes
    assert ("latency", "compute") not in scopes
    first = {(one.id, one.scope): one for one in ncs.figures if one.batch == 1}
    assert first["latency", "compute"].value == pytest.approx(2.9e-3)
    assert first["task.accuracy", ""].value == pytest.approx(0.9886)
    assert (first["power.mean", ""].value, first["power.mean", ""].precision) == (1.8, "FP16")
    assert {one.conditions for one in ncs.figures if one.batch == 2} == {"50 % of the weights kept"}
    assert {one.conditions for one in tx2.figures} == {"operating mode maxp"}


def test_neurobench_becomes_a_model_card() -> None:
    (found,) = read(json.dumps(samples.NEUROBENCH), "dvs.json")
    assert (found.card, found.name) == ("model", "dvs")
    assert values(found)["model.effective_acs"] == (1700.5, "1")
    assert values(found)["model.footprint"] == (20480.0, "By")
    assert values(found)["task.accuracy"] == (0.856, "1")


def test_maestros_layers_are_added_up_and_cycles_become_time_by_the_clock() -> None:
    assert values(read(samples.MAESTRO)[0]) == {"energy_per_inference": (pytest.approx(1e-5), "J"), "model.macs": (12000.0, "1")}
    (found,) = read(samples.MAESTRO, clock_hz=200e6)
    assert values(found)["latency"] == (pytest.approx(4000 / 200e6), "s")
    assert {one.provenance for one in found.figures} == {Provenance.ESTIMATED}
    assert {one.model for one in found.figures} == {"Net"}


def test_timeloops_statistics_json_and_csv_say_the_same() -> None:
    layer = {"cycles": 64, "energy_pJ": 70212.34, "macs": 512}
    expected = {
        "energy_per_inference": (pytest.approx(70212.34e-12), "J"),
        "latency": (pytest.approx(64e-9), "s"),
        "model.macs": (512.0, "1"),
    }
    for text, file in (
        (samples.TIMELOOP, "timeloop-model.stats.txt"),
        (json.dumps(layer), "t.json"),
        ("layer,cycles,energy_pJ,macs\na,64,70212.34,512\n", "t.csv"),
    ):
        assert values(read(text, file, clock_hz=1e9)[0]) == expected, file
    two = read_foreign({"a.stats.txt": samples.TIMELOOP.encode(), "b.stats.txt": samples.TIMELOOP.encode()}, Kind.TIMELOOP, Added())
    assert values(two[0])["model.macs"] == (1024.0, "1")
    assert values(read(samples.TIMELOOP.replace("Total topology energy", "x"))[0])["energy_per_inference"] == (pytest.approx(0.07e-6), "J")


def test_aladdins_energy_needs_the_clock() -> None:
    assert values(read(samples.ALADDIN)[0]) == {"power.mean": (pytest.approx(0.1), "W")}
    found = values(read(samples.ALADDIN * 2, clock_hz=100e6)[0])
    assert found["energy_per_inference"] == (pytest.approx(2 * 1000 / 100e6 * 0.1), "J")
    assert found["latency"] == (pytest.approx(2 * 1000 / 100e6), "s")


def test_smaugs_latency_is_that_of_the_whole_system() -> None:
    found = read_foreign({"stdout": samples.ALADDIN.encode(), "stats.txt": samples.GEM5.encode()}, Kind.SMAUG, Added(clock_hz=100e6))
    latency = [one for one in found[0].figures if one.id == "latency"]
    assert [(one.value, one.scope) for one in latency] == [(0.000125, "system")]


def test_a_plain_table_keeps_interval_provenance_and_source() -> None:
    (found,) = read(samples.FIGURES, "f.csv")
    first, second = found.figures
    assert first == ForeignFigure(
        "latency", 0.004, "s", "data sheet p. 3", Provenance.DECLARED, u=0.0001, least=0.0038, most=0.0042, model="kws01", batch=1
    )
    assert (second.provenance, second.source, found.name) == (Provenance.ESTIMATED, "f.csv, line 3", "Chip A")


@pytest.mark.parametrize(
    ("kind", "file", "text", "says"),
    [
        (Kind.MLMARK, "f", samples.MLMARK.replace("50.0", "fast"), "f: line 4, column 'Score': expected a number from 0 on, got 'fast'"),
        (
            Kind.MLMARK,
            "f",
            samples.MLMARK.replace("       ms", "        s"),
            "f: line 5, column 'Units': expected ms for a latency, got 's'",
        ),
        (Kind.MLMARK, "f", samples.MLMARK.replace("1 throughput", "  throughput", 1), "f: line 4: expected 9 cells"),
        (Kind.MLMARK, "f", samples.MLMARK.replace("throughput", "thruput"), "expected one of throughput, latency, accuracy, got 'thruput'"),
        (Kind.MLMARK, "f", "hello", "f: expected the table of MLMark under the header Target Workload"),
        (Kind.QUTIBENCH, "f.csv", samples.QUTIBENCH.replace("HWType", "HW"), "f.csv: line 1: expected a column 'HWType' in the header"),
        (
            Kind.QUTIBENCH,
            "f.csv",
            samples.QUTIBENCH.replace("98.86", "198.86"),
            "f.csv: line 2, column 'top1': expected at most 100 %, got 198.86",
        ),
        (
            Kind.QUTIBENCH,
            "f.csv",
            samples.QUTIBENCH.replace("MLP,NCS,FP16,,1", "MLP,NCS,FP16,,1.5"),
            "expected a whole number from 1 on, got 1.5",
        ),
        (Kind.NEUROBENCH, "n.json", '{"Footprint": -1}', "n.json: Footprint is -1, a number from 0 on is meant"),
        (
            Kind.NEUROBENCH,
            "n.json",
            '{"Footprint": 1, "ClassificationAccuracy": 85}',
            "n.json: ClassificationAccuracy: expected a share from 0 to 1",
        ),
        (
            Kind.MAESTRO,
            "m.csv",
            samples.MAESTRO.replace("2.5e+03", "nan"),
            "m.csv: line 2, column 'Activity count-based Energy (nJ)': expected a number",
        ),
        (Kind.MAESTRO, "m.csv", samples.MAESTRO.splitlines()[0], "m.csv: expected lines under a header"),
        (
            Kind.TIMELOOP,
            "t.txt",
            samples.TIMELOOP.replace("Cycles: 64", "Cycles: -"),
            "t.txt: line 8: expected a number from 0 on, got '-'",
        ),
        (Kind.TIMELOOP, "t.txt", "hello", "t.txt: Summary Stats: expected a line such as 'Cycles: 64', got none"),
        (Kind.TIMELOOP, "t.json", '{"cycles": 3}', "t.json: energy_pJ: this key is required; there is cycles"),
        (Kind.TIMELOOP, "t.json", '[{"cycles": "x", "energy_pJ": 1}]', "t.json: [0].cycles: expected a number from 0 on, got 'x'"),
        (Kind.ALADDIN, "a", samples.ALADDIN.replace("100.0 mW", "100.0 W"), "a: line 8: expected Avg Power in mW, got '100.0 W'"),
        (Kind.ALADDIN, "a", samples.ALADDIN.replace("Cycle : 1000", "Cycle : 0"), "a: Cycle: expected more than 0 cycles, got 0"),
        (Kind.ALADDIN, "a", "hello", "a: expected blocks headed 'Aladdin Results', or sim_seconds"),
        (
            Kind.FIGURES,
            "f.csv",
            samples.FIGURES.replace("estimated", "guessed"),
            "f.csv: line 3, column 'provenance': expected one of declared, estimated",
        ),
        (
            Kind.FIGURES,
            "f.csv",
            samples.FIGURES.replace("0.0038", "0.5"),
            "f.csv: line 2, column 'least': expected at most 0.0042, which is most, got 0.5",
        ),
        (
            Kind.FIGURES,
            "f.csv",
            "id,value,unit\nedp,2,J.s\nlatncy,3,s\n",
            "f.csv: line 3, column 'id': no KPI has the id 'latncy' (`labd kpis` lists them)",
        ),
        (
            Kind.FIGURES,
            "f.csv",
            "id,value,unit\nlatency.p95,3,J\n",
            "f.csv: line 2, column 'unit': expected the UCUM code of latency.p95, s, or one with another prefix, got 'J'",
        ),
        (Kind.FIGURES, "f.csv", "id,value,unit\n,1,s\n", "f.csv: line 2, column 'id': expected a KPI's id such as latency"),
        (Kind.LABD, "l.json", '{"schema": "x"}', "l.json: schema: expected 'urn:labd:schema:interchange:1', got 'x'"),
        (None, "what", "hello", "what: labd does not know what this is; say it with --as. mlperf-tiny:"),
    ],
)
def test_a_wrong_file_is_told_by_file_place_and_value(kind: Kind | None, file: str, text: str, says: str) -> None:
    with pytest.raises(FileError) as error:
        read(text, file, kind)
    assert says in str(error.value)
