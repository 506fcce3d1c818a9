"""What a reader needs to know of the whole deployment pipeline; whatever nobody told is printed as not disclosed.

The items are those that Narduzzi et al., "Benchmarking Neuromorphic Computing for Inference", table 1.1 and sections 1.2.2, 1.3.1 to
1.3.3, ask for: task, final model, hardware and the tools between them.
"""

from __future__ import annotations

from labd.analyse.wording import said, section
from labd.report.data import Disclosure
from labd.store.rows import RunRow

# group, item, card, key of that card
ITEMS = (
    ("Task", "Task and objective", "task", "objective"),
    ("Task", "Data set and split", "task", "dataset"),
    ("Task", "Input: size, rate, precision", "task", "input"),
    ("Task", "Accuracy, class-balanced", "task", "balanced_accuracy"),
    ("Task", "Precision, recall, specificity, F1", "task", "scores"),
    ("Task", "False-positive rate, area under the ROC curve", "task", "roc"),
    ("Task", "Target figures of the use case", "use_case", "targets"),
    ("Model", "Architecture: layers and their number", "model", "structure"),
    ("Model", "Parameters", "model", "parameters"),
    ("Model", "Operations per inference (MAC; 1 MAC = 2 operations)", "model", "macs"),
    ("Model", "Synaptic operations and spikes per inference", "model", "synops"),
    ("Model", "Precision of parameters and activations", "model", "precision"),
    ("Model", "Sparsity of parameters and activations", "model", "sparsity"),
    ("Model", "Largest activation buffer", "model", "largest_activation"),
    ("Model", "Memory footprint", "model", "memory"),
    ("Hardware", "Chip and revision", "hardware", "chip"),
    ("Hardware", "Process node", "hardware", "process_node"),
    ("Hardware", "Die area", "hardware", "die_area"),
    ("Hardware", "Embedded non-volatile memory: kind, qualified by the foundry", "hardware", "envm"),
    ("Hardware", "On-chip memory, bandwidth", "hardware", "memory"),
    ("Hardware", "External memory, and whether its energy is inside the boundary", "hardware", "external_memory"),
    ("Hardware", "Core voltage", "hardware", "core_voltage"),
    ("Hardware", "Processing elements", "hardware", "processing_elements"),
    ("Hardware", "Supported layers, kernel sizes and precisions", "hardware", "supported"),
    ("Hardware", "Special units used (zero skipping, in-memory computing ...)", "hardware", "special_units"),
    ("Hardware", "Silicon measured, or simulated figures", "hardware", "origin"),
    ("Deployment", "Training framework and its version", "deployment", "framework"),
    ("Deployment", "Quantisation, and training for it", "deployment", "quantisation"),
    ("Deployment", "Pruning and other changes to the model", "deployment", "optimisations"),
    ("Deployment", "Compiler or converter, version and options", "deployment", "compiler"),
    ("Deployment", "Mapping and scheduling on the hardware", "deployment", "mapping"),
    ("Deployment", "Runtime and libraries", "deployment", "runtime"),
)

_METHOD = (
    ("Batch size in this run", "1: every inference is started on its own"),
    ("Parameters when latency is timed", "resident: loaded before the first inference that counts; loading is a phase of its own"),
    ("Peripherals and memory", "everything fed through the supply terminals is counted"),
    ("Uncertainty", "GUM Supplement 1 over a budget of named terms; coverage 95 %"),
)


def disclosure(run: RunRow) -> tuple[Disclosure, ...]:
    """The full list, from the run's cards where they say it, then how labd measures."""
    asked = [Disclosure(group, item, said(section(run.cards, card).get(key)) or _known(run, card, key)) for group, item, card, key in ITEMS]
    return (*asked, *(Disclosure("Method", item, text) for item, text in _METHOD))


def _known(run: RunRow, card: str, key: str) -> str | None:
    """What bench and board say without a card."""
    board = section(run.bench_effective, "board", "board")
    if (card, key) == ("hardware", "origin") and board.get("virtual"):
        return "neither: a virtual board"
    return None
