"""`python -m labd.analyse.worker_process`: the process of a `Worker`."""

from __future__ import annotations

import os

from labd.analyse.worker import serve

NICE = 10  # acquisition comes first

if __name__ == "__main__":
    os.nice(NICE)
    serve()
