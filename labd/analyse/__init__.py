"""From stored captures to figures: setup (what the run stored) -> capture (kpi inputs) -> run (figures) -> report (for people)."""
