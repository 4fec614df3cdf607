"""How is a price written for people and for programs? `49.90` and `EUR 49.90`, with the currency's own digits."""

from __future__ import annotations

# ISO 4217, minor units other than 2 of currencies in use.
_DIGITS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def amount(price_micros: int, currency: str) -> str:
    """The price without its currency, as `49.90`; a part of the smallest unit is rounded half up."""
    digits = _DIGITS.get(currency, 2)
    step = 10 ** (6 - digits)
    units, rest = divmod((price_micros + step // 2) // step, 10**digits)
    return f"{units}.{rest:0{digits}d}" if digits else str(units)


def price_text(price_micros: int, currency: str) -> str:
    """The price for people, as `EUR 49.90`: the code comes first, as the European Union writes it in English."""
    return f"{currency}\u00a0{amount(price_micros, currency)}"
