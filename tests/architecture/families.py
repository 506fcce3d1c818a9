"""An import-linter contract: in a folder of drivers, a file and its parts make a family, and families do not know each other."""

from __future__ import annotations

from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.imports import Module


class FamiliesContract(Contract):
    """packages: each holds modules of several families. No list to keep: the names of the files tell.

    A module is a part when its name begins with an underscore or continues another module's name (`keithley_2450_trigger`); the others
    are heads. No head reaches another head, and no part is reached from two heads.
    """

    type_name = "families"

    packages = fields.ListField(subfield=fields.ModuleField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        packages = cast("list[Module]", self.packages)
        crossings = sorted(chain for package in packages for chain in _crossings(graph, package.name))
        return ContractCheck(kept=not crossings, metadata={"crossings": crossings})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for chain in cast("list[tuple[str, ...]]", check.metadata["crossings"]):
            output.print_error(" -> ".join(chain))


def _crossings(graph: ImportGraph, package: str) -> list[tuple[str, ...]]:
    """Import chains from a head to another head, or to a part that an earlier head has too."""
    modules = sorted(graph.find_children(package))
    heads = [module for module in modules if not _is_part(module, modules)]
    owner = {head: head for head in heads}
    found: list[tuple[str, ...]] = []
    for head in heads:
        foreign = [r for r in sorted(graph.find_upstream_modules(head) & set(modules)) if owner.setdefault(r, head) != head]
        found += [graph.find_shortest_chain(importer=head, imported=r) or (head, r) for r in foreign]
    return found


def _is_part(module: str, modules: list[str]) -> bool:
    name = module.rpartition(".")[2]
    return name.startswith("_") or any(module.startswith(f"{other}_") for other in modules)
