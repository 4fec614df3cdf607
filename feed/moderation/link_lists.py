"""Which domains are known? Short lists of our own, which an operator replaces by longer ones."""

from __future__ import annotations

from typing import Final


def _listed(names: str) -> frozenset[str]:
    return frozenset(names.split())


# Whom others pretend to be.
PROTECTED: Final[frozenset[str]] = _listed(
    "adidas.com airbnb.com aliexpress.com amazon.com apple.com binance.com booking.com coinbase.com dhl.com "
    "ebay.com etsy.com facebook.com fedex.com gmail.com google.com hermes.com hm.com icloud.com ikea.com "
    "instagram.com klarna.com linkedin.com mastercard.com metamask.io microsoft.com netflix.com nike.com "
    "office.com outlook.com paypal.com paytm.com pinterest.com revolut.com shopify.com snapchat.com spotify.com "
    "stripe.com telegram.org tiktok.com twitter.com ups.com usps.com visa.com walmart.com whatsapp.com "
    "wikipedia.org wise.com yahoo.com youtube.com zalando.com zara.com"
)
# What hides where a link leads.
SHORTENERS: Final[frozenset[str]] = _listed(
    "adf.ly bit.ly bl.ink buff.ly cutt.ly goo.gl is.gd lnkd.in ow.ly rb.gy rebrand.ly shorturl.at short.io t.co "
    "t.ly tiny.cc tinyurl.com v.gd x.gd"
)
# Under which anybody can have a name, in two parts; the Public Suffix List has all of them.
TWO_PART_SUFFIXES: Final[frozenset[str]] = _listed(
    "ac.uk co.id co.il co.in co.jp co.ke co.kr co.nz co.th co.uk co.za com.ar com.au com.bd com.br com.cn com.co "
    "com.eg com.gh com.hk com.mx com.my com.ng com.np com.pe com.ph com.pk com.pl com.sg com.tr com.tw com.ua "
    "com.vn gov.in gov.uk me.uk net.au net.br net.in ne.jp or.jp org.au org.br org.in org.uk org.za"
)
# Endings by which a word without a scheme is taken for an address.
ENDINGS: Final[frozenset[str]] = _listed(
    "app biz br ca cc ch click club cn co com de dev es eu fr gq in info io it jp life link live ly me ml mobi "
    "net nl online org pl pro ru se shop site store su tech tk to top tr tv ua uk us vip wiki win work world xin "
    "xyz"
)
