"""Which certificates a connection to a daemon is content with."""

from __future__ import annotations

import ssl
from pathlib import Path

from labd.errors import FileError

END = "-----END CERTIFICATE-----"


def trusting(ca: Path | None) -> ssl.SSLContext:
    """What this machine trusts; or, in its place, what a PEM file holds, an authority's or a daemon's own. Raises FileError."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise _unreadable(ca, error) from error
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # one that an authority has signed may be given without its authority
    return context


def trusting_only(certificate: Path) -> ssl.SSLContext:
    """The very certificate that stands first in a PEM file, as a daemon on this machine uses it, whatever names it is for: it is reached by
    an address that no certificate carries. Raises FileError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        first, _, _ = certificate.read_text(encoding="utf-8").partition(END)
        context.load_verify_locations(cadata=f"{first}{END}\n")
    except (OSError, ValueError, ssl.SSLError) as error:
        raise _unreadable(certificate, error) from error
    return context


def _unreadable(path: Path | None, error: Exception) -> FileError:
    return FileError(str(path), "", f"is no readable PEM file of certificates: {getattr(error, 'strerror', None) or error}")
