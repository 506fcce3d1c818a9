"""From stored captures to figures: setup (what the run stored) -> capture (kpi inputs) -> run (figures) -> report (for people).

many: the same for every run of a store, by whoever computes -> dataset (Parquet).
"""
