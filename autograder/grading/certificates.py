"""The keys with which the machines of a cluster recognize each other."""

from __future__ import annotations

from pathlib import Path

from distributed import Security

FOLDER = ".cluster"
"""The folder of the keys, in the root of a course."""

CERTIFICATE, KEY = "certificate.pem", "key.pem"


def make(folder: Path) -> Path:
    """Write a new certificate and its key, which are valid for a year; return the folder.

    Only the owner can read the key.  Whoever has it belongs to the cluster.
    """
    security = Security.temporary()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in (
        (CERTIFICATE, security.tls_ca_file),
        (KEY, security.tls_client_key),
    ):
        path = folder / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(content)
    return folder


def security(folder: Path) -> Security:
    """Return what a client of the cluster needs.

    Raises
    ------
    FileNotFoundError
        When there are no keys.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    for path in (certificate, key):
        path.read_bytes()
    return Security(
        require_encryption=True,
        tls_ca_file=str(certificate),
        tls_client_cert=str(certificate),
        tls_client_key=str(key),
    )
