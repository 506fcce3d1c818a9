"""Figures of others, in and out: files of other tools -> `kinds` -> `foreign` -> `card` (a card that stands beside a run), and a run ->
`mlperf_lines` or `document`. Bytes and text in, data out; nothing here reads a file."""
