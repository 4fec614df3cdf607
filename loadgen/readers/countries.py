"""Which two letters stand for a country's three? ISO 3166-1, for the markets where logs come from."""

from __future__ import annotations

_LISTED = (
    "ARE:AE ARG:AR AUS:AU AUT:AT BEL:BE BGD:BD BGR:BG BRA:BR CAN:CA CHE:CH CHL:CL CHN:CN COL:CO CZE:CZ DEU:DE "
    "DNK:DK EGY:EG ESP:ES EST:EE FIN:FI FRA:FR GBR:GB GRC:GR HKG:HK HRV:HR HUN:HU IDN:ID IND:IN IRL:IE ISL:IS "
    "ISR:IL ITA:IT JAM:JM JEY:JE JPN:JP KEN:KE KOR:KR LKA:LK LTU:LT LUX:LU LVA:LV MAR:MA MEX:MX MYS:MY NGA:NG "
    "NLD:NL NOR:NO NPL:NP NZL:NZ PAK:PK PER:PE PHL:PH POL:PL PRT:PT ROU:RO RUS:RU SAU:SA SGP:SG SRB:RS SVK:SK "
    "SVN:SI SWE:SE THA:TH TUR:TR TWN:TW UKR:UA USA:US VNM:VN ZAF:ZA "
)
_ALPHA_2 = dict(pair.split(":") for pair in _LISTED.split())
# In logs these stand for proxies, satellites and regions: they are no countries.
_NO_COUNTRIES = frozenset({"A1", "A2", "AP", "EU", "O1", "XX", "ZZ"})


def alpha_2(code: object) -> str:
    """The two letters of a country given by two or three; empty when it is not known."""
    if not isinstance(code, str) or not code.isascii() or not code.isalpha():
        return ""
    said = code.upper()
    if len(said) == 2:
        return "" if said in _NO_COUNTRIES else said
    return _ALPHA_2.get(said, "")
