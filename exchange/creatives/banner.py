"""What does a banner look like? A link with a picture, or with words where there is none, in HTML without scripts.

It is as wide as its place allows and at most its own size, so it fits a flexible placement too. The addresses for
"shown" and "viewable" stand on it: the first as a pixel, the second for the page that measures.
"""

from __future__ import annotations

from exchange.creatives.shown import Shown
from exchange.creatives.templates import (
    CLICK_URL_MACRO,
    IMPRESSION_MACRO,
    IMPRESSION_URL_MACRO,
    Template,
    event_macro,
    html,
    template,
)

_PIXEL = (
    f'<img src="{IMPRESSION_URL_MACRO}" width="1" height="1" alt="" aria-hidden="true" '
    'style="position:absolute;left:0;top:0;opacity:0">'
)
_WORDS = (
    "display:flex;flex-direction:column;justify-content:center;box-sizing:border-box;height:100%;padding:12px;"
    "font:16px/1.4 system-ui,sans-serif;color:#1a1a1a;background:#f4f4f2;overflow:hidden"
)


def markup(shown: Shown) -> Template:
    """The banner's markup."""
    creative = shown.creative
    width, height = creative.width, creative.height
    title = html(creative.title)
    frame = f"position:relative;width:100%;max-width:{width}px;aspect-ratio:{width}/{height};overflow:hidden"
    if creative.image_url:
        inner = (
            f'<img src="{html(creative.image_url)}" width="{width}" height="{height}" alt="{title}" '
            'style="display:block;width:100%;height:100%;object-fit:cover">'
        )
    else:
        inner = f'<span style="{_WORDS}"><strong>{title}</strong>'
        inner += "".join(f"<span>{html(text)}</span>" for text in (creative.body, creative.call_to_action) if text)
        inner += "</span>"
    text = (
        f'<div style="{frame}" data-impression="{IMPRESSION_MACRO}" data-viewable="{event_macro("viewable")}">'
        f'<a href="{CLICK_URL_MACRO}" target="_blank" rel="sponsored noopener" '
        f'style="display:block;height:100%;color:inherit;text-decoration:none">{inner}</a>{_PIXEL}</div>'
    )
    return template(text, ampersand=True)
