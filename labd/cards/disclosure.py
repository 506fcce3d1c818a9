"""What the paper asks to be told of a deployment pipeline, held against the cards of a run: field by field, each with the reason. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNKNOWN = "unknown, as the card says"


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing to be told. card, keys: where it is told, each of `keys` has to be; why: what cannot be judged without it (the paper's
    section in brackets). from_run: a run of labd knows it itself, so that a card alone need not tell it."""

    group: str
    item: str
    card: str
    keys: tuple[str, ...]
    why: str
    from_run: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """value: what the card says under each key, as stored; None for a key that is not told. model: which one, where a run has several."""

    asked: Asked
    values: Mapping[str, Any]
    unknown: tuple[str, ...] = ()
    model: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys that are neither told nor said to be unknown."""
        return tuple(key for key in self.asked.keys if not tells(self.values.get(key)) and key not in self.unknown)

    @property
    def fields(self) -> tuple[str, ...]:
        """The keys to write with the card before them: `hardware.process_node`, `model.dnn.macs`."""
        card = ".".join(part for part in (self.asked.card, self.model) if part)
        return tuple(f"{card}.{key}" for key in self.missing)

    @property
    def where(self) -> str:
        """The card and the keys to write, for a person."""
        card = f"{self.asked.card} card{f' of {self.model}' if self.model else ''}"
        return f"{card}: {', '.join(self.missing or self.asked.keys)}"


def _(group: str, item: str, card: str, keys: str, why: str, *, from_run: bool = False) -> Asked:
    return Asked(group, item, card, tuple(keys.split()), why, from_run)


ASKED = (
    _("Task", "Task and objective", "task", "objective", "figures of different tasks are not comparable [1.3.2]"),
    _("Task", "How well it is done: the metric", "task", "metric", "the objective function is a KPI of its own [table 1.1]"),
    _("Task", "Input: size, rate, precision", "task", "input", "input precision is part of the flexibility of a platform [1.3.2]"),
    _("Data set", "Name and version", "dataset", "name version", "a comparison is fair on the same data set only [1.3.2]"),
    _("Data set", "Split, number of samples, hash", "dataset", "split samples sha256", "the same name may be another content [1.2.1]"),
    _(
        "Data set",
        "Preprocessing, where it is done, and whether it counts",
        "dataset",
        "preprocessing preprocessing_at preprocessing_counted",
        "energy moves from the device to the host with it [1.3.1]",
    ),
    _(
        "Use case",
        "Use case and its targets",
        "use_case",
        "description targets",
        "what matters are the constraints of the use case [1.3.3]",
    ),
    _("Use case", "How often something happens", "use_case", "events", "the rate decides between leakage and activity [1.1]"),
    _("Model", "Architecture: layers and their number", "model", "family structure", "some hardware runs some layers only [1.2.1]"),
    _("Model", "Parameters", "model", "parameters", "it has to be optimised for a fair comparison [1.3.2]"),
    _("Model", "Operations per inference (MAC; 1 MAC = 2 operations)", "model", "macs", "complexity [table 1.1]"),
    _("Model", "Synaptic operations and spikes per inference", "model", "synops spikes", "a spiking net has no MACs to tell it by [1.2.1]"),
    _(
        "Model",
        "Precision of parameters and activations",
        "model",
        "weight_bits activation_bits",
        "energy per operation is fair only if the bit resolution is provided [1.2.2]",
    ),
    _(
        "Model",
        "Sparsity of parameters and activations",
        "model",
        "weight_sparsity activation_sparsity",
        "hardware that skips zeros gains [1.3.1]",
    ),
    _("Model", "Largest activation buffer", "model", "largest_activation", "it may exceed what a platform holds [1.2.1]"),
    _("Model", "Memory footprint", "model", "footprint", "one of the five figures of the multi-metric approach [1.3.2]"),
    _(
        "Model",
        "Model as trained and as deployed",
        "model",
        "trained_sha256 deployed_sha256",
        "the final model is part of the pipeline [1.3.3]",
    ),
    _("Hardware", "Chip and revision", "hardware", "chip", "characteristics of the hardware [1.3.3]"),
    _("Hardware", "Process node", "hardware", "process_node", "it sets active power, leakage and cost [1.3.1]"),
    _("Hardware", "Die area", "hardware", "die_area", "area efficiency [table 1.1]"),
    _(
        "Hardware",
        "Embedded non-volatile memory: kind, qualified by the foundry; parameters in it",
        "hardware",
        "envm parameters_in_envm",
        "retention costs nothing there, if the process is qualified [1.3.1]",
    ),
    _("Hardware", "On-chip memory, bandwidth", "hardware", "memory memory_bandwidth", "how large a net fits [table 1.1]"),
    _(
        "Hardware",
        "External memory, and whether its energy is inside the boundary",
        "hardware",
        "external_memory",
        "it may outweigh the rest [table 1.5]",
    ),
    _("Hardware", "Core voltage and clock", "hardware", "core_voltage clock", "power follows both [1.2.2]"),
    _("Hardware", "Processing elements", "hardware", "processing_elements", "peak throughput [table 1.1]"),
    _(
        "Hardware",
        "Supported layers, kernel sizes and precisions",
        "hardware",
        "layers kernel_sizes precisions",
        "the indicator of flexibility [1.3.2]",
    ),
    _(
        "Hardware",
        "Special units used (zero skipping, in-memory computing ...)",
        "hardware",
        "special_units",
        "TOPS/W misleads without them [1.2.2]",
    ),
    _("Hardware", "Silicon measured, or simulated figures", "hardware", "origin", "both may be reported, never as the same [1.2]"),
    _("Hardware", "Boundary: core rail, chip or board", "hardware", "boundary", "what is fed is what is counted [1.2.2]"),
    _("Deployment", "Training framework and its version", "toolchain", "framework", "the whole deployment pipeline [1.3.3]"),
    _("Deployment", "Quantisation, and training for it", "toolchain", "quantisation", "quantisation-aware training is beneficial [1.3.3]"),
    _("Deployment", "Pruning and other changes to the model", "toolchain", "optimisations", "which optimisations were exploited [1.3.1]"),
    _("Deployment", "Compiler or converter, version and options", "toolchain", "compiler", "optimisations inside the tools [1.3.1]"),
    _("Deployment", "Mapping and scheduling on the hardware", "toolchain", "mapping", "efficient execution depends on it equally [1.3.3]"),
    _("Deployment", "Runtime and libraries", "toolchain", "runtime", "the complete software tool chain [1.3.3]"),
    _(
        "Deployment",
        "Optimised for its platform, of what the vendor offers",
        "toolchain",
        "optimised_for_platform optimisations_available",
        "a platform that is not exploited is benchmarked unfairly [1.3.1, figure 1.1]",
    ),
    _("Deployment", "Search that chose the model", "toolchain", "search", "the search algorithm is to be documented [1.3.3]"),
    _("Set-up", "Rails that were measured", "setup", "rails", "what is fed apart is not counted [1.2.2]"),
    _("Set-up", "Modifications of the board", "setup", "modifications", "results have to be reproducible [1.3.2]"),
    _("Set-up", "Instruments", "setup", "instruments", "results have to be reproducible [1.3.2]", from_run=True),
    _("Set-up", "Ranges measured in", "setup", "ranges", "a floor is not seen in the range of a peak [1.2.2]", from_run=True),
    _("Set-up", "Supply and ambient temperature", "setup", "supply temperature", "leakage follows both [1.2.2]", from_run=True),
    _("Set-up", "Where an inference begins and ends", "setup", "windows", "what is counted differs with it [1.2.2]", from_run=True),
    _("Set-up", "Mode and rates", "setup", "modes rates", "always-on and event-based are different KPIs [1.1]", from_run=True),
)


def told(cards: Mapping[str, Any], *, models: Sequence[str], known: Mapping[tuple[str, str], Any]) -> Iterator[Told]:
    """Each thing asked for, in order; of a model once for each of `models`. cards: as a run stores them, by kind, model cards by model.
    known: what is known without a card, by (kind, key)."""
    for asked in ASKED:
        if asked.card != "model":
            yield _of(asked, _table(cards, asked.card), known)
            continue
        for model in models:
            card = _table(_table(cards, "model"), model)
            if _applies(asked, card):
                yield _of(asked, card, known, model if len(models) > 1 else "")


def untold(card: Mapping[str, Any]) -> list[Told]:
    """What is asked of a card of this kind and not told by it. card: as a run stores it."""
    kind = str(card.get("card", ""))
    of = [
        _of(asked, card, {}) for asked in ASKED if asked.card == kind and not asked.from_run and (kind != "model" or _applies(asked, card))
    ]
    return [one for one in of if one.missing]


def tells(value: Any) -> bool:
    """Whether a stored value says anything: a default does not."""
    if isinstance(value, Mapping) and "unit" not in value:
        return any(tells(item) for key, item in value.items() if key not in ("accuracy_metric", "energy_kind", "latency_quantile"))
    return value not in (None, "", [], ())


def _applies(asked: Asked, card: Mapping[str, Any]) -> bool:
    """Spikes are asked of spiking nets alone, operations of the others."""
    family = card.get("family")
    return not ((family == "dnn" and "synops" in asked.keys) or (family == "snn" and "macs" in asked.keys))


def _of(asked: Asked, card: Mapping[str, Any], known: Mapping[tuple[str, str], Any], model: str = "") -> Told:
    values = {key: value if tells(value := card.get(key)) else known.get((asked.card, key)) for key in asked.keys}
    return Told(asked, values, tuple(card.get("unknown", ())), model)


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, Mapping) else {}
