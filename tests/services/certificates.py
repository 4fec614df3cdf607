"""An authority of a test's own, and a certificate that it gave to 127.0.0.1 and to no other name."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: of the authority, of the server's certificate and key, of both in one; and of an authority that gave
    none.
    """

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    @property
    def stranger(self) -> Path:
        return self.folder / "stranger.pem"

    @property
    def server(self) -> Path:
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        return self.folder / "server.key"

    def key_and_chain(self) -> str:
        return self.key.read_text() + self.server.read_text()


def make_certificates(folder: Path) -> Certificates:
    """By openssl, good for a day."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder)
    for authority in (made.authority, made.stranger):
        _openssl(folder, "-subj", f"/CN={authority.stem}", "-keyout", f"{authority}.key", "-out", str(authority))
    _openssl(
        *(folder, "-subj", "/CN=an engine", "-addext", f"subjectAltName=IP:{ADDRESS}"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-CA", str(made.authority), "-CAkey", f"{made.authority}.key"),
        *("-keyout", str(made.key), "-out", str(made.server)),
    )
    return made


def _openssl(folder: Path, *words: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *words]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
