"""What each kind of card holds. Every key may be left out but the name: what is left out is not disclosed, and is told as that.

A key that nobody can know is named in `unknown`: that is an answer too. Figures that somebody else has published stand in `given`, each
with its source; they are declared, never measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from labd.config.document import FileSection
from labd.config.problems import did_you_mean, nearest
from labd.config.section import Section, Wrong, written_name
from labd.config.types import (
    Bytes,
    Count,
    CountOrZero,
    Flag,
    Fraction,
    Hertz,
    Joules,
    Number,
    Rate,
    Seconds,
    Text,
    Volts,
    Watts,
    Words,
)
from labd.kpi.table import Domain, begins, ids, rows, wrong_figure

CARD_SCHEMA = 1
UNNAMED = "..."  # of a card that is still to be filled in


class Given(Section):
    """A figure from a publication, a data sheet or a simulator."""

    id: Words = Field(description="which figure, as `labd kpis` names it")
    value: Number | None = Field(default=None, description="the figure; left out where only limits are given")
    least: Number | None = Field(default=None, description="lower limit of a range")
    most: Number | None = Field(default=None, description="upper limit of a range")
    least_open: Flag = Field(default=False, description="the lower limit is given as `less than`")
    u: Number | None = Field(default=None, description="standard uncertainty, where the source gives one")
    unit: Words = Field(description='UCUM code, such as "J", "1", "/s"')
    scope: Text = Field(default="", description='what it covers, such as "CONV only", "chip only"')
    model: Text = Field(default="", description="the net that it was taken with")
    batch: Count | None = Field(default=None, description="inferences at once")
    clock: Hertz | None = Field(default=None, description="of the core")
    precision: Text = Field(default="", description="of parameters and activations, as the source words it")
    conditions: Text = Field(default="", description="whatever else it holds at, such as a voltage")
    source: Words = Field(description="document and page or table")
    provenance: Literal["declared", "estimated", "computed"] = Field(
        default="declared", description="estimated: by a simulator; computed: by labd, from somebody else's samples"
    )

    def wrong(self) -> Iterator[Wrong]:
        if self.value is None and self.least is None and self.most is None:
            yield Wrong("value", "one of value, least and most is required")
        if self.least is not None and self.most is not None and self.least > self.most:
            yield Wrong("least", f"expected at most {self.most:g}, which is most, got {self.least:g}")
        if self.least_open and self.least is None:
            yield Wrong("least_open", "says how `least` is meant, which is left out")
        if self.u is not None and self.u < 0:
            yield Wrong("u", f"expected 0 or more, got {self.u:g}")
        if (wrong := wrong_figure(self.id, self.unit)) is not None:
            key, text = wrong
            near = nearest(self.id, ids()) if key == "id" else None
            yield Wrong(key, f'{text}; did you mean "{near}"?' if near else text)


def _task_kpi(key: str, metric: str) -> Iterator[Wrong]:
    """A metric that nothing computes answers no target."""
    known = {name.removeprefix("task.") for row in rows(Domain.TASK) for name in (row.id, *row.records)}
    if metric and not any(begins(metric.removeprefix("task."), name) for name in known):
        yield Wrong(key, f"expected a task KPI, `objective` for one of your own, got {metric!r}{did_you_mean(metric, known)}")


class Card(FileSection):
    """What all kinds have."""

    schema_version: Literal[1] = Field(alias="schema", description="version of this file's layout: 1")
    name: Words = Field(description="short name")
    version: Text = Field(default="", description="of what the card describes")
    source: Text = Field(default="", description="where what stands here comes from: a document, a person, the build")
    notes: Text = Field(default="", description="whatever else a reader should know")
    unknown: tuple[Words, ...] = Field(default=(), description="keys of this card that nobody can know: an answer too")
    given: tuple[Given, ...] = Field(default=(), description="figures that somebody else has published")

    def wrong(self) -> Iterator[Wrong]:
        if self.name == UNNAMED:
            yield Wrong("name", f'still says "{UNNAMED}", as the template does: write a short name')
        values = {written_name(name, field): getattr(self, name) for name, field in type(self).model_fields.items()}
        for index, key in enumerate(self.unknown):
            if key not in values:
                yield Wrong(f"unknown[{index}]", f"this card has no key {key!r}{did_you_mean(key, values)}")
            elif values[key] not in (None, "", ()):
                yield Wrong(f"unknown[{index}]", f"{key} is said to be unknown and is given; leave out one of the two")


class TaskCard(Card):
    """What is to be done, and how it is told whether it is done well."""

    kind: ClassVar[str] = "a task card"
    card: Literal["task"] = Field(description="the kind of card")
    objective: Text = Field(default="", description='what is to be done, such as "keyword spotting, 12 classes"')
    metric: Text = Field(default="", description="the KPI that says how well, such as balanced_accuracy")
    input: Text = Field(default="", description='size, rate and precision of one input, such as "49 x 10 int8, one a second"')
    output: Text = Field(default="", description="what one inference gives")

    def wrong(self) -> Iterator[Wrong]:
        yield from super().wrong()
        yield from _task_kpi("metric", self.metric)


class DatasetCard(Card):
    """What the task is measured on."""

    kind: ClassVar[str] = "a dataset card"
    card: Literal["dataset"] = Field(description="the kind of card")
    split: Text = Field(default="", description="which part of it is sent, and how it was chosen")
    samples: Count | None = Field(default=None, description="how many of them")
    content_sha256: Text = Field(default="", alias="sha256", description="of its content, as `labd accuracy` prints it")
    preprocessing: Text = Field(default="", description="what is done to a sample before it is an input; `none` where nothing is")
    preprocessing_at: Literal["host", "dut", "sensor", "none"] | None = Field(default=None, description="where that is done")
    preprocessing_counted: Flag | None = Field(default=None, description="whether its time and energy are in the figures")
    licence: Text = Field(default="", description="of the data")


class ModelCard(Card):
    """The net that runs on the device, as it was deployed."""

    kind: ClassVar[str] = "a model card"
    card: Literal["model"] = Field(description="the kind of card")
    family: Literal["dnn", "snn", "other"] | None = Field(default=None, description="artificial or spiking neurons")
    file: Text = Field(default="", description="model file (ONNX, TFLite, NIR), relative to this one; its figures are computed from it")
    structure: Text = Field(default="", description="layers, their kinds and number")
    parameters: Count | None = Field(default=None, description="weights and biases")
    macs: CountOrZero | None = Field(default=None, description="multiply-accumulate operations an inference; 1 MAC is 2 operations")
    neurons: Count | None = Field(default=None, description="of a spiking net")
    synops: Number | None = Field(default=None, description="synaptic operations an inference, mean over the data set")
    spikes: Number | None = Field(default=None, description="spikes an inference, mean over the data set")
    weight_bits: Text = Field(default="", description='precision of parameters, such as "8" or "mixed 4/8"')
    activation_bits: Text = Field(default="", description="precision of activations")
    weight_sparsity: Fraction | None = Field(default=None, description="share of weights that are zero")
    activation_sparsity: Fraction | None = Field(default=None, description="share of activations that are zero, over the data set")
    largest_activation: Bytes | None = Field(default=None, description="of any layer")
    footprint: Bytes | None = Field(default=None, description="memory of parameters and buffers on the device")
    trained_sha256: Text = Field(default="", description="of the model as it was trained")
    deployed_sha256: Text = Field(default="", description="of the model as it is on the device")


class HardwareCard(Card):
    """The device and what of it is inside the boundary; supported layers, precisions and kernels are its flexibility."""

    kind: ClassVar[str] = "a hardware card"
    card: Literal["hardware"] = Field(description="the kind of card")
    chip: Text = Field(default="", description="maker, part number and revision")
    type: Text = Field(default="", description='such as "MCU", "GPU", "neuromorphic", "soft IP core"')
    application: Text = Field(default="", description="what the maker names it for")
    origin: Literal["silicon", "fpga", "simulation", "virtual"] | None = Field(default=None, description="what the figures were taken from")
    process_node: Text = Field(default="", description='CMOS technology, such as "65 nm", with the foundry\'s option')
    die_area: Text = Field(default="", description='with its kind, such as "16 mm2 die" or "2695k gates (NAND-2)"')
    envm: Text = Field(
        default="", description="embedded non-volatile memory: kind, qualified by the foundry or not; `none` where there is none"
    )
    parameters_in_envm: Flag | None = Field(default=None, description="whether the parameters lie in it")
    memory: Text = Field(default="", description="on chip, by kind and size")
    memory_bandwidth: Text = Field(default="", description="internal and external")
    external_memory: Text = Field(default="", description="and whether its energy is inside the boundary; `none` where there is none")
    core_voltage: Volts | None = Field(default=None, description="of the core while it was measured")
    clock: Hertz | None = Field(default=None, description="of the core while it was measured")
    largest_clock: Hertz | None = Field(default=None, description="the most it can")
    processing_elements: Text = Field(default="", description="kind and number, such as MAC units with their precision")
    layers: tuple[Words, ...] = Field(default=(), description="kinds of layers that it runs")
    precisions: tuple[Words, ...] = Field(default=(), description="of inputs, parameters and activations")
    kernel_sizes: tuple[Words, ...] = Field(default=(), description="of convolutions; `any` where nothing limits them")
    largest_network: Text = Field(default="", description="most neurons, synapses, or activation")
    special_units: Text = Field(default="", description="zero skipping, in-memory computing and the like; `none` where there is none")
    boundary: Text = Field(default="", description="core rail, chip or board; regulator inside or outside")


class ToolchainCard(Card):
    """What made the deployed model of the trained one, and what it made of it."""

    kind: ClassVar[str] = "a toolchain card"
    card: Literal["toolchain"] = Field(description="the kind of card")
    framework: Text = Field(default="", description="of training, with its version")
    quantisation: Text = Field(default="", description="method and calibration set; whether training knew of it")
    optimisations: Text = Field(default="", description="pruning and other changes to the model; `none` where there was none")
    compiler: Text = Field(default="", description="or converter, with version and options")
    mapping: Text = Field(default="", description="how the net is laid out and scheduled on the hardware")
    runtime: Text = Field(default="", description="and libraries, with versions")
    optimised_for_platform: Literal["yes", "partly", "no"] | None = Field(
        default=None, description="whether the platform's own optimisations were used"
    )
    optimisations_available: Text = Field(default="", description="of the vendor's tools, used or not")
    search: Text = Field(default="", description="method, budget and seed, where a search chose the model; `none` where none did")


class Targets(Section):
    """What the use case asks for."""

    accuracy: Fraction | None = Field(default=None, description="least")
    accuracy_metric: Text = Field(default="accuracy", description="which KPI that is")
    energy_per_inference: Joules | None = Field(default=None, description="most")
    energy_kind: Literal["gross", "net_of_idle", "net_of_sleep", "per_event", "at_rate"] = Field(
        default="at_rate", description="which energy: the whole mean power over the rate, unless another is meant"
    )
    mean_power: Watts | None = Field(default=None, description="most, at the rate of the events")
    latency: Seconds | None = Field(default=None, description="most")
    latency_quantile: Literal["p50", "p95", "p99", "mean"] = Field(default="p95", description="which latency")
    memory: Bytes | None = Field(default=None, description="most, of parameters and buffers")

    def wrong(self) -> Iterator[Wrong]:
        yield from _task_kpi("accuracy_metric", self.accuracy_metric)


class Events(Section):
    """How often something happens."""

    rate: Rate | None = Field(default=None, description="of events, mean")
    largest_rate: Rate | None = Field(default=None, description="that it has to keep up with")
    statistics: Text = Field(default="", description='such as "periodic" or "Poisson"')


class UseCaseCard(Card):
    """What a system integrator needs."""

    kind: ClassVar[str] = "a use-case card"
    card: Literal["use_case"] = Field(description="the kind of card")
    description: Text = Field(default="", description="in words")
    targets: Targets = Field(default_factory=Targets, description="what it asks for")
    events: Events = Field(default_factory=Events, description="how often something happens")


class SetupCard(Card):
    """How it was measured. Of a run of labd only the first three are asked: it knows the others itself."""

    kind: ClassVar[str] = "a set-up card"
    card: Literal["setup"] = Field(description="the kind of card")
    place: Text = Field(default="", description="laboratory, and who measured")
    rails: Text = Field(default="", description="which rails of the board were measured, which were fed apart")
    modifications: Text = Field(default="", description="jumpers, cut traces, removed parts; `none` where there were none")
    instruments: tuple[Words, ...] = Field(default=(), description="with their roles; left out, those of the run")
    ranges: Text = Field(default="", description="that were measured in; left out, those of the run")
    supply: Text = Field(default="", description="voltages; left out, those of the run")
    temperature: Text = Field(default="", description="of the room; left out, that of the bench file")
    windows: Text = Field(default="", description="where one inference begins and ends; left out, what the run was analysed by")
    modes: Text = Field(default="", description="always-on or event-based, and how it waits; left out, those of the run")
    rates: Text = Field(default="", description="of inferences; left out, those of the plan")


AnyCard = TaskCard | DatasetCard | ModelCard | HardwareCard | ToolchainCard | UseCaseCard | SetupCard
KINDS: dict[str, type[AnyCard]] = {
    "task": TaskCard,
    "dataset": DatasetCard,
    "model": ModelCard,
    "hardware": HardwareCard,
    "toolchain": ToolchainCard,
    "use_case": UseCaseCard,
    "setup": SetupCard,
}
