"""The batches of a stream: each is its block, whatever came before it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labd.store.trace_stream import Batches, crc_of
from labd_instruments.block import Block

CAME = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**40), st.integers(1, 40), st.booleans()), min_size=1, max_size=8)


@given(CAME)
def test_a_batch_and_its_checksum_do_not_depend_on_those_before(came: list[tuple[int, int, int, bool]]) -> None:
    batches = Batches()
    for stretch, first, n, marked in came:
        values = np.arange(first % 1000, first % 1000 + n, dtype=np.float32)
        batch, crc = batches.of(Block(0, 0, 1, values, None, marker=-values if marked else None), stretch, first)
        assert batch.to_pydict() == {
            "stretch": [stretch] * n,
            "index": list(range(first, first + n)),
            "current": values.tolist(),
            "voltage": [None] * n,
            "marker": (-values).tolist() if marked else [None] * n,
            "digital": [None] * n,
        }
        assert crc == crc_of(batch)
