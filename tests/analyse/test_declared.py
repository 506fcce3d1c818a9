"""What cards declare of chip and nets becomes facts and figures, with where each comes from; and joins what the device counted."""

from __future__ import annotations

from typing import Any

import pytest

from labd.analyse import declared
from labd.cards.read import card_from, stored
from labd.kpi.facts import Fact, ModelFacts
from labd.records import Provenance

HARDWARE = 'schema = 1\ncard = "hardware"\nname = "chip"\nsource = "data sheet, page 3"\n'
MODEL = 'schema = 1\ncard = "model"\nname = "net"\nsource = "the build"\n'


def hardware(text: str) -> dict[str, Any]:
    return {"hardware": stored(card_from(HARDWARE + text, "chip"))}


def given(kpi: str, value: str, unit: str, more: str = "") -> str:
    return f'[[given]]\nid = "{kpi}"\n{value}\nunit = "{unit}"\nsource = "brief, page 1"\n{more}\n'


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ('die_area = "16 mm2 die"', "die_area_m2", 16e-6),
        ('die_area = "4.0mmx4.0mm (Die Area)"', "die_area_m2", 16e-6),
        ('die_area = "1176k gates (NAND-2)"', "die_area_m2", None),
        ('die_area = "none"', "die_area_m2", None),
        ('memory = "181.5 kB SRAM"', "memory_bytes", 181500.0),
        ('memory = "RAM of the model"', "memory_bytes", None),
        ('memory_bandwidth = "3.2 Gbit/s, external"', "bandwidth_bit_s", 3.2e9),
        ('largest_clock = "200 MHz"', "max_frequency_hz", 200e6),
        (given("hardware.peak_throughput", "value = 4e12", "/s"), "peak_ops_hz", 4e12),
        (given("hardware.peak_throughput", "least = 1e9\nmost = 8e9", "/s"), "peak_ops_hz", None),  # no efficiency is made of a range
        ('die_area = "9 mm2"\n' + given("hardware.die_area", "value = 10", "mm2"), "die_area_m2", 10e-6),
    ],
)
def test_a_card_tells_a_figure_with_its_unit_or_none(text: str, field: str, value: float | None) -> None:
    facts = declared.hardware(hardware(text))
    assert facts is not None
    found: Fact | None = getattr(facts, field)
    assert (None if found is None else found.value) == (None if value is None else pytest.approx(value))
    if found is not None:
        assert found.provenance is Provenance.DECLARED
        assert found.source == ("brief, page 1" if "given" in text else "data sheet, page 3")


def test_no_card_declares_nothing() -> None:
    assert declared.hardware({}) is None
    assert declared.models({}) == {}
    assert list(declared.records({})) == []


def test_figures_of_the_chip_stand_at_its_name_with_the_uncertainty_that_the_source_gives() -> None:
    card = hardware('largest_clock = "64 MHz"\n' + given("hardware.die_area", "value = 10", "mm2", "u = 0.5"))
    found = {record.id: record for record in declared.records(card)}
    assert {r.at for r in found.values()} == {"chip"}
    assert (found["hardware.max_frequency"].u, found["hardware.max_frequency"].low) == (None, None)
    assert found["hardware.die_area"].u == pytest.approx(0.5e-6)
    assert found["hardware.die_area"].high == pytest.approx(10e-6 + 1.96 * 0.5e-6)


def nets(text: str) -> dict[str, Any]:
    return {"model": {"kws": stored(card_from(MODEL + text, "net"))}}


def test_counts_of_a_model_card_are_facts_and_the_rest_are_figures() -> None:
    cards = nets('macs = 1000\nparameters = 50\nsynops = 12.5\nweight_sparsity = "25 %"\nlargest_activation = "2 kB"\n')
    facts = declared.models(cards)["kws"]
    assert (facts.macs, facts.parameters) == (
        Fact(1000.0, Provenance.DECLARED, "the build"),
        Fact(50.0, Provenance.DECLARED, "the build"),
    )
    assert facts.synops == Fact(12.5, Provenance.DECLARED, "the build")
    assert {r.id: r.value for r in declared.records(cards)} == {"model.weight_sparsity": 0.25, "model.max_activation": 2000.0}


def test_what_the_device_counted_stands_before_the_card_which_fills_in_the_rest() -> None:
    counted = {"kws": ModelFacts("kws", macs=Fact(1000.0, Provenance.MEASURED, "counter"), inferences=60)}
    facts = declared.joined(counted, declared.models(nets("macs = 1000\nparameters = 50\n")))["kws"]
    assert (facts.macs, facts.inferences) == (Fact(1000.0, Provenance.MEASURED, "counter"), 60)
    assert facts.parameters is not None
    other = declared.joined(counted, declared.models(nets("macs = 1100\n")))["kws"]
    assert other.macs == Fact(1000.0, Provenance.MEASURED, "counter; the build says 1100")
    assert set(declared.joined(counted, {})) == {"kws"}
