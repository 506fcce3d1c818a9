"""What is compiled: the C tests under sanitizers, the documented build command, and the RAM the image needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.firmware.conftest import FIRMWARE, SANITIZE, compile_c

pytestmark = pytest.mark.compiler

RAM_LIMIT = 32 * 1024
STRICT = ["-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wpointer-arith", "-Wwrite-strings"]


def test_the_c_tests_pass_under_the_sanitizers(cc: str, tmp_path: Path) -> None:
    program = compile_c(cc, ["core", "test"], tmp_path / "tests", *SANITIZE, *STRICT)
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ cases, \d+ checks, 0 failures$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("mode", [0, 1])
def test_the_bench_s_build_command_compiles_without_a_warning(cc: str, tmp_path: Path, mode: int) -> None:
    compile_c(cc, ["core", "host"], tmp_path / "image", f"-DEE_CFG_ENERGY_MODE={mode}", *STRICT)


def test_the_core_is_plain_c99_without_extensions(cc: str, tmp_path: Path) -> None:
    for source in sorted((FIRMWARE / "core").glob("*.c")):
        command = [cc, "-std=c99", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-c", str(source), "-o", str(tmp_path / "object.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr


def test_the_core_uses_no_heap_no_files_and_no_printf() -> None:
    for source in (FIRMWARE / "core").glob("*.[ch]"):
        text = source.read_text()
        assert not re.search(r"\b(malloc|calloc|realloc|free|s?n?printf|exit|abort)\s*\(", text), source.name
        assert set(re.findall(r"#include <(.+)>", text)) <= {"stdbool.h", "stddef.h", "stdint.h", "string.h"}, source.name


def static_bytes(objects: list[Path]) -> int:
    """data + bss, by the binutils command size."""
    done = subprocess.run(["size", *map(str, objects)], capture_output=True, text=True, check=True, timeout=60)
    return sum(int(line.split()[1]) + int(line.split()[2]) for line in done.stdout.splitlines()[1:])


def objects_of(cc: str, folder: str, tmp_path: Path) -> list[Path]:
    objects = []
    for source in sorted((FIRMWARE / folder).glob("*.c")):
        objects.append(tmp_path / f"{folder}-{source.stem}.o")
        command = [cc, "-std=c11", "-Os", "-I", str(FIRMWARE / "core"), "-c", str(source), "-o", str(objects[-1])]
        subprocess.run(command, check=True, timeout=60)
    return objects


def test_static_ram_is_under_32_kb_and_none_of_it_is_the_core_s_own(cc: str, tmp_path: Path) -> None:
    if shutil.which("size") is None:
        pytest.skip("no size command: install binutils")
    core = objects_of(cc, "core", tmp_path)
    host = objects_of(cc, "host", tmp_path)
    own, total = static_bytes(core), static_bytes(core + host)
    print(f"static RAM: core {own} bytes, image {total} bytes of {RAM_LIMIT}")  # noqa: T201 - shown by pytest -s, and beside a failure
    # Tables of pointers to constants are relocated on the host and count as data there; on a board they are flash.
    assert own <= 1024
    assert 0 < total < RAM_LIMIT
