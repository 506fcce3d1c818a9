"""`make fuzz`: the firmware's core under libFuzzer with the address and undefined-behaviour sanitizers; prints executions and findings."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware"
HARNESS = FIRMWARE / "test/fuzz_device.c"
WORDS = FIRMWARE / "test/fuzz_words.dict"
FLAGS = ("-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
SECONDS, QUICK_SECONDS = 300, 20
SLOWEST_S = 10  # one input; the board gives up after a budget of work
LONGEST = 400  # bytes of an input: several commands, an upload among them
NEEDS = "make fuzz needs clang and its sanitizers (Debian: apt-get install clang libclang-rt-14-dev)"

# Whole conversations to begin from: what stands behind the set-up byte, the script's length and the script.
CONVERSATIONS = (
    "name%profile%help%timestamp%ver%",
    "db load 4%db 01ff%db 0203%db print%",
    "db load 250%db " + "7f" * 38 + "%db " + "80" * 38 + "%",
    "db load 301%db 00%db load 0%db%db load%db 0%db zz%",
    "infer 1 0%results%checksum%laps%stat clear%",
    "workload snn 30 4%infer 2 1%stat%",
    "workload dnn 101 1%workload x%mode x%marks x%idle 0%periodic 0 1%arm 1 0%",
    "mode event_sleep%marks phases%periodic 3 1000%laps%",
    "mode event_reload%marks gate%arm 2 10 pin%stat%",
    "mode always_on busy_poll%arm 2 10 uart%x\nidle 5%",
    "marks pulses%infer 2 0%marks off%%\r\nname%",
    "x" * 90 + "%name%",
)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    with tempfile.TemporaryDirectory(prefix="labd-fuzz-") as folder:
        program = build(Path(folder))
        return fuzz(program, Path(folder), seconds, kept=arguments.out)


def build(folder: Path) -> Path:
    """The core with its harness, by clang."""
    compiler = shutil.which("clang")
    if compiler is None:
        sys.exit(NEEDS)
    program = folder / "fuzz"
    sources = [str(path) for path in sorted((FIRMWARE / "core").glob("*.c"))]
    command = [compiler, *FLAGS, "-I", str(FIRMWARE / "core"), *sources, str(HARNESS), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stderr}\n{NEEDS}" if "clang_rt" in done.stderr else done.stderr)
    return program


def fuzz(program: Path, folder: Path, seconds: int, *, kept: Path) -> int:
    """0 where nothing was found; what was is kept as a file that the program takes as its argument."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, text in enumerate(CONVERSATIONS):
        for setting in range(4):
            script = bytes((37 * k + number) % 256 for k in range(12))
            (corpus / f"{number}-{setting}").write_bytes(bytes([setting, len(script)]) + script + text.encode())
    kept.mkdir(parents=True, exist_ok=True)
    words = [f"-max_total_time={seconds}", f"-dict={WORDS}", f"-max_len={LONGEST}", f"-timeout={SLOWEST_S}", f"-artifact_prefix={kept}/"]
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}  # LeakSanitizer needs ptrace, which containers forbid
    command = [str(program), *words, "-len_control=0", "-print_final_stats=1", str(corpus)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment, check=False
    )
    print(_summary(done.stdout, seconds, found=done.returncode != 0))
    if done.returncode != 0:
        print(done.stdout[-6000:])
        print(f"fuzz: the input is kept in {kept}")
    return 1 if done.returncode != 0 else 0


def _summary(printed: str, seconds: int, *, found: bool) -> str:
    """One line, whatever came of it."""
    runs = re.search(r"number_of_executed_units: (\d+)", printed)
    covered = re.findall(r"cov: (\d+) ft: (\d+)", printed)
    blocks, features = covered[-1] if covered else ("?", "?")
    count = runs[1] if runs else "?"
    return f"fuzz: {count} executions in {seconds} s, {blocks} edges and {features} features covered, findings: {'1' if found else 'none'}"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS} s, for CI")
    parser.add_argument("--seconds", type=int, default=0, help=f"left out: {SECONDS}")
    parser.add_argument("--out", type=Path, default=ROOT / "out/fuzz", help="folder for an input that breaks something")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
