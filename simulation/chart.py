"""How does a curve look? A small SVG of some lines over the same axis, without a library."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

_COLOURS = ("#888888", "#1668b8", "#c0392b", "#27834a")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 720, 260, 44, 28
_POINTS = 240


def line_chart(title: str, lines: Mapping[str, NDArray[np.float64]], *, top: float, across: str) -> str:
    """An SVG document; each line is drawn over the whole width, from 0 to `top`. `across` says what the axis is."""
    width, height = _WIDTH - _LEFT - 10, _HEIGHT - _BOTTOM - 28
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="11" role="img"><title>{escape(title)}</title>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="14" font-size="13">{escape(title)}</text>',
    ]
    for mark in (0.0, 0.5, 1.0):
        y = 22 + height * (1 - mark)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + width}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{mark * top:.0%}</text>')
    for index, (name, values) in enumerate(lines.items()):
        picked = values[np.linspace(0, len(values) - 1, min(_POINTS, len(values))).astype(int)]
        points = " ".join(
            f"{_LEFT + width * at / max(len(picked) - 1, 1):.1f},{22 + height * (1 - min(value / top, 1.05)):.1f}"
            for at, value in enumerate(picked.tolist())
        )
        colour = _COLOURS[index % len(_COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        x = _LEFT + index * 150
        parts.append(f'<text x="{x}" y="{_HEIGHT - 6}" fill="{colour}">■ {escape(name)}</text>')
    parts.append(f'<text x="{_WIDTH - 10}" y="{_HEIGHT - 6}" text-anchor="end">{escape(across)}</text></svg>\n')
    return "\n".join(parts)
