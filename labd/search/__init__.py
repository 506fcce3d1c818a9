"""Use-case benchmarking: which candidate on which platform meets the targets of a use case, by measurement.

use_case (the file) -> space (what may be chosen) -> study (what is tried next) -> build (a candidate's program, by a plug-in command) ->
files (its bench, board and plan) -> measured by the composition root -> figures -> answers and front -> result (JSON, text, HTML).
"""
