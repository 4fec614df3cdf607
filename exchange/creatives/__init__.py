"""What does the visitor's browser get? One file for each format, the list of them all in formats.py.

Everything an advertiser wrote is escaped when a template is written; for an impression only its id and its addresses
are put in (composer.py).
"""

from exchange.creatives.ad_facts import AdFacts, ad_facts, outside_facts
from exchange.creatives.templates import IMPRESSION_MACRO

__all__ = ["IMPRESSION_MACRO", "AdFacts", "ad_facts", "outside_facts"]
