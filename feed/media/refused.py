"""Why was an upload not taken? One exception for all that looks at its bytes."""

from __future__ import annotations


class MediaRefused(Exception):  # told as InvalidInput of the upload
    """These bytes are not taken: `found` says what they are, `remedy` what to upload instead."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found}: {remedy}")
        self.found = found
        self.remedy = remedy
