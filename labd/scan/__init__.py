"""One pass over the samples of a trace: the `loops` go through `samples` by blocks, `onepass` makes totals, bursts and windows of them."""
