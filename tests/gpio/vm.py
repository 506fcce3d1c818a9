"""`make test-gpio`: a small virtual machine with a real kernel's gpio-sim and ftdi_sio in it, and tests/gpio/*_on_kernel.py run inside.

Debian's kernels have no gpio-sim, so it is built as a module from Debian's own kernel source (three files of it). The machine starts from
an initramfs of busybox and a few modules, mounts this machine's file system read-only and runs its Python. Everything that is downloaded
and built stays in a folder (--out), nothing is installed. QEMU emulates (TCG): KVM is not needed.

Needs, once: apt-get install qemu-system-x86 busybox-static gcc make (about 20 MB beside a compiler). Downloads about 225 MB of Debian
packages (`apt-get download`, which needs no rights), keeps 490 MB. Takes 15 s of
processor time to fetch and build, once, then 65 s a run.
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTEST = "-v --color=no --noconftest -p no:cacheprovider -p no:xdist -p no:anyio -p no:hypothesispytest -o asyncio_mode=auto"
PACKAGES = ("linux-image-{v}-amd64", "linux-headers-{v}-amd64", "linux-headers-{v}-common", "linux-kbuild-{base}", "linux-source-{base}")
SOURCES = ("drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h", "kernel/irq/irq_sim.c")
NEEDED = ("virtio_pci", "9pnet_virtio", "9p", "configfs", "xhci-pci", "ftdi_sio")
INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
for m in $($B cat /modules.order); do $B insmod /modules/$m || echo "cannot load $m"; done
$B mount -t configfs configfs /sys/kernel/config
$B mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=524288,cache=loose host /host || echo "cannot mount the host"
for d in proc sys dev; do $B mount --rbind /$d /host/$d 2>/dev/null || $B mount -o bind /$d /host/$d; done
$B mkdir -p /dev/shm; $B mount -t tmpfs tmpfs /host/dev/shm
$B mount -t configfs configfs /host/sys/kernel/config 2>/dev/null
$B mount -t tracefs tracefs /host/sys/kernel/tracing
$B ifconfig lo 127.0.0.1 up
run=$($B sed 's/.*run=//; s/ .*//' /proc/cmdline)
$B chroot /host /bin/sh "$run"
echo "GUEST-EXIT $?"
$B poweroff -f
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-gpio", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "out/gpio-vm", help="where downloads and builds are kept")
    parser.add_argument("tests", nargs="*", help="arguments of pytest in the machine; the tests of tests/gpio where there are none")
    given = parser.parse_args()
    for tool, package in (("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static"), ("cc", "gcc"), ("make", "make")):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing: apt-get install {package}")
    out: Path = given.out.resolve()
    version = kernel_version()
    unpacked = out / version
    if not (unpacked / "whole").exists():
        fetch(version, unpacked)
        build(version, unpacked)
        (unpacked / "whole").touch()
    return run(version, unpacked, given.tests)


def kernel_version() -> str:
    """Of Debian's newest kernel for amd64, such as 6.1.0-56."""
    told = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Depends: linux-image-([\d.]+-\d+)-amd64", told)
    if found is None:
        sys.exit("no Debian kernel linux-image-amd64 is known to apt here: run apt-get update")
    return found[1]


def fetch(version: str, unpacked: Path) -> None:
    shutil.rmtree(unpacked, ignore_errors=True)
    (unpacked / "debs").mkdir(parents=True)
    base = ".".join(version.split(".")[:2])
    names = [name.format(v=version, base=base) for name in PACKAGES]
    print(f"downloading {', '.join(names)}", flush=True)
    subprocess.run(["apt-get", "download", "-qq", *names], cwd=unpacked / "debs", check=True)
    for deb in sorted((unpacked / "debs").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", deb, unpacked], check=True)
        deb.unlink()
    archive = unpacked / f"usr/src/linux-source-{base}.tar.xz"
    with lzma.open(archive) as plain, tarfile.open(fileobj=plain, mode="r|") as source:
        left = set(SOURCES)
        for member in source:
            name = member.name.partition("/")[2]
            if name in left and (content := source.extractfile(member)) is not None:
                (unpacked / Path(name).name).write_bytes(content.read())
                left.remove(name)
            if not left:
                break
    archive.unlink()


def build(version: str, unpacked: Path) -> None:
    """gpio-sim.ko, with the simulated interrupts that Debian leaves out too; the one function in them that no module may call is replaced
    by its public counterpart."""
    module = unpacked / "module"
    module.mkdir(exist_ok=True)
    simulated = (unpacked / "irq_sim.c").read_text().replace("handle_simple_irq(irq_to_desc(irqnum));", "generic_handle_irq(irqnum);")
    simulated = re.sub(r"^EXPORT_SYMBOL_GPL.*$", "", simulated, flags=re.M)
    (module / "irq_sim.c").write_text(simulated)
    (module / "gpio_sim_main.c").write_text((unpacked / "gpio-sim.c").read_text())
    shutil.copy(unpacked / "gpiolib.h", module)
    (module / "Makefile").write_text("obj-m := gpio-sim.o\ngpio-sim-y := gpio_sim_main.o irq_sim.o\n")
    headers = unpacked / f"usr/src/linux-headers-{version}-amd64"
    (headers / "Makefile").write_text(f"include {unpacked}/usr/src/linux-headers-{version}-common/Makefile\n")
    subprocess.run(["make", "-s", "-C", headers, f"M={module}", "modules"], check=True)


def run(version: str, unpacked: Path, tests: list[str]) -> int:
    """The tests in the machine; what it prints is printed. Returns pytest's exit code.

    One processor: an interrupt's thread goes before whoever caused it, so that each simulated edge is taken before the next one comes.
    no_timer_check: on a busy host the emulated timer is late for the kernel's own test of it, which then panics.
    """
    with tempfile.TemporaryDirectory(prefix="run-", dir=unpacked) as folder:
        initrd, script = Path(folder) / "initrd.gz", Path(folder) / "run.sh"
        initrd.write_bytes(gzip.compress(archive(dict(contents(version, unpacked))), 1))
        words = " ".join(tests) if tests else " ".join(str(path) for path in sorted(HERE.glob("*_on_kernel.py")))
        script.write_text(
            f"cd {ROOT}\nexport PYTHONPATH={ROOT}:{ROOT}/instruments PATH={os.environ['PATH']} TMPDIR=/dev/shm HOME=/dev/shm\n"
            f"export PYTHONDONTWRITEBYTECODE=1\nexec {sys.executable} -m pytest {PYTEST} {words}\n"
        )
        command = [
            *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-nodefaults", "-no-reboot"),
            *("-display", "none", "-serial", "stdio", "-kernel", f"{unpacked}/boot/vmlinuz-{version}-amd64", "-initrd", str(initrd)),
            *("-append", f"console=ttyS0 quiet panic=-1 no_timer_check run={script}"),
            *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
            *("-chardev", "null,id=plain", "-device", "isa-serial,chardev=plain"),
            *("-chardev", f"socket,id=ft,path={folder}/ft,server=on,wait=off"),
            *("-device", "qemu-xhci", "-device", "usb-serial,chardev=ft,always-plugged=on"),
        ]
        return follow(command)


def follow(command: list[str]) -> int:
    code = 1
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, errors="replace") as machine:
        assert machine.stdout is not None
        for line in machine.stdout:
            if found := re.search(r"GUEST-EXIT (\d+)", line):
                code = int(found[1])
            else:
                print(line, end="", flush=True)
    return code or machine.returncode


def contents(version: str, unpacked: Path) -> Iterator[tuple[str, bytes]]:
    """Files of the initramfs by name; a name that ends in / is a folder."""
    kernel = {path.stem.replace("_", "-"): path for path in (unpacked / f"lib/modules/{version}-amd64").rglob("*.ko")}
    order = [path for name in NEEDED for path in _with_dependencies(name, kernel)]
    order = [*dict.fromkeys(order), unpacked / "module/gpio-sim.ko"]
    for folder in ("bin/", "dev/", "proc/", "sys/", "host/", "modules/"):
        yield folder, b""
    for path in order:
        yield f"modules/{path.name}", path.read_bytes()
    yield "modules.order", "\n".join(path.name for path in order).encode()
    yield "bin/busybox", Path(str(shutil.which("busybox"))).read_bytes()
    yield "init", INIT.encode()


def _with_dependencies(name: str, kernel: dict[str, Path]) -> Iterator[Path]:
    """What is not among the modules is in the kernel itself."""
    path = kernel.get(name.replace("_", "-"))
    if path is not None:
        found = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
        for other in found[1].decode().split(",") if found and found[1] else ():
            yield from _with_dependencies(other, kernel)
        yield path


def archive(files: dict[str, bytes]) -> bytes:
    """A cpio archive in the "newc" format, which an initramfs has [kernel: driver-api/early-userspace/buffer-format]."""
    made = bytearray()
    for number, (name, data) in enumerate({**files, "TRAILER!!!": b""}.items(), start=1):
        mode = 0o040755 if name.endswith("/") else 0o100755
        path = name.rstrip("/").encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        made += b"070701" + b"".join(b"%08x" % field for field in fields) + path
        made += bytes(-len(made) % 4) + data
        made += bytes(-len(made) % 4)
    return bytes(made)


if __name__ == "__main__":
    sys.exit(main())
