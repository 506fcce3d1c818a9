"""Writes the test split of the digits as a data set of `labd accuracy`: `python write_dataset.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from digit_nets.digits import digits, write_dataset


def main() -> int:
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    _, testing = digits()
    write_dataset(Path(sys.argv[1]), testing)
    sys.stdout.write(f"{len(testing.labels)} samples in {sys.argv[1]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
