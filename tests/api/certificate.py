"""Certificates as a bench PC has them: its own, which nobody else has signed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from labd.api.server import Tls


def self_signed(folder: Path, *, names: str = "IP:127.0.0.1") -> Tls:
    """names: subjectAltName, as OpenSSL writes it."""
    made = Tls(folder / "bench.pem", folder / "bench.key")
    subject = ["-subj", "/CN=bench", "-addext", f"subjectAltName={names}"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", str(made.key), "-out", str(made.certificate)], check=True, capture_output=True)
    return made
