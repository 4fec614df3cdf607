"""Does a publisher let this exchange sell its pages? Its ads.txt says so (IAB Tech Lab, ads.txt 1.1).

Pure: what fetches the file lives elsewhere. A file that cannot be had authorises nobody and forbids nobody.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

LARGEST_BYTES: Final = 2 << 20
_MOST_RECORDS: Final = 50_000
_MOST_LINE: Final = 2_048


class Standing(IntEnum):
    """What an ads.txt says of one seller; `nbr` is OpenRTB's no-bid reason for those that do not sell."""

    # No file could be had.
    UNAVAILABLE = 0
    DIRECT = 1
    RESELLER = 2
    UNAUTHORISED = 3

    @property
    def nbr(self) -> int:
        """11 the file is not available, 12 it does not name the seller, 0 neither (AdCOM, No-Bid Reason Codes)."""
        return {Standing.UNAVAILABLE: 11, Standing.UNAUTHORISED: 12}.get(self, 0)


class AdsTxt(NamedTuple):
    """A file that was read: sellers as (domain in lower case, account) with their relation, and who owns the site."""

    sellers: dict[tuple[str, str], Standing]
    owner_domain: str
    # Lines that are no record, by number from 1; the first few.
    broken: tuple[int, ...]
    # "placeholder.example.com, placeholder, DIRECT, placeholder": nobody may sell.
    nobody: bool

    def standing(self, seller_domain: str, account: str) -> Standing:
        """What the file says of this account in this advertising system."""
        return self.sellers.get((seller_domain.lower(), account), Standing.UNAUTHORISED)


def read_ads_txt(content: bytes) -> AdsTxt | None:
    """The records of a file; None when it is none: too large, no text, or an HTML page in its place."""
    if len(content) > LARGEST_BYTES:
        return None
    text = content.decode("utf-8", errors="replace").removeprefix("\ufeff")
    if text.lstrip()[:1] == "<" or "\x00" in text:
        return None
    sellers: dict[tuple[str, str], Standing] = {}
    broken: list[int] = []
    owner = ""
    nobody = False
    for number, whole in enumerate(text.splitlines(), 1):
        # Extensions follow a semicolon; comments may stand behind a record.
        line = whole[:_MOST_LINE].split("#", 1)[0].split(";", 1)[0].strip()
        if not line:
            continue
        name, is_variable, value = line.partition("=")
        if is_variable and "," not in name:
            if name.strip().upper() == "OWNERDOMAIN":
                owner = value.strip().lower()[:253]
            continue
        fields = [field.strip() for field in line.split(",")]
        relation = _RELATIONS.get(fields[2].upper()) if len(fields) >= 3 else None
        if relation is None or not fields[0] or not fields[1]:
            if len(broken) < 20:
                broken.append(number)
            continue
        if fields[1].lower() == "placeholder":
            nobody = True
            continue
        key = fields[0].lower(), fields[1]
        # Listed twice, direct counts.
        if sellers.get(key) is not Standing.DIRECT and len(sellers) < _MOST_RECORDS:
            sellers[key] = relation
    return AdsTxt(sellers, owner, tuple(broken), nobody)


_RELATIONS: Final = {"DIRECT": Standing.DIRECT, "RESELLER": Standing.RESELLER}
