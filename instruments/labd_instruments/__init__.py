"""Synchronous instrument drivers on PyVISA: usable from a notebook, knowing neither labd nor asyncio.

A bench file's words pass through `loader` (driver by file name) and `options` (validated) to a module in `drivers`, which talks
over a link of `links` in the language of `scpi`, checks itself with `checks`, and offers the capabilities of `contract`: what comes
back is a `block`, an `accuracy` table, or one of `errors`.
"""
