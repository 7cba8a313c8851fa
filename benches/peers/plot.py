"""Curves as SVG, legible on light and on dark pages; no library."""

import math
from html import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 84, 56
STYLE = """
  .page { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #57606a }
  text { fill: #24292f; font: 13px system-ui, sans-serif } .title { font-size: 16px; font-weight: 600 }
  .s0 { stroke: #0969da; fill: #0969da } .s1 { stroke: #6e7781; fill: #6e7781 } .s2 { stroke: #bc4c00; fill: #bc4c00 }
  .line { fill: none; stroke-width: 2 } .bar { stroke-width: 1.2; opacity: .6 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .grid { stroke: #30363d } .axis { stroke: #8b949e } text { fill: #e6edf3 }
    .s0 { stroke: #58a6ff; fill: #58a6ff } .s1 { stroke: #9198a1; fill: #9198a1 } .s2 { stroke: #f0883e; fill: #f0883e }
    .line { fill: none }
  }
"""


def svg(title, axis, curves):
    """`curves`: a name and points of (x, median, least, most). x is logarithmic, y begins at nothing."""
    curves = list(curves)
    points = [point for _, points in curves for point in points]
    x = across([point[0] for point in points])
    top = nice(max(point[3] for point in points))

    def y(value):
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top

    parts = [*frame(title, axis, sorted({point[0] for point in points}), x, y, top)]
    for number, (name, found) in enumerate(curves):
        parts += curve(number, name, found, x, y)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">\n'
        f"<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


def across(values):
    low, high = math.log(min(values)), math.log(max(values))
    return lambda value: LEFT + 12 + (WIDTH - LEFT - RIGHT - 36) * (math.log(value) - low) / ((high - low) or 1)


def nice(value):
    """The next that is round, and round when it is divided by five."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def frame(title, axis, xs, x, y, top):
    yield f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>'
    yield f'<text class="title" x="{LEFT}" y="28">{escape(title)}</text>'
    for step in range(6):
        value = top * step / 5
        yield f'<path class="grid" d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
    yield f'<text x="{LEFT - 40}" y="{TOP - 12}">CPU per delivery, µs</text>'
    yield f'<path class="axis" d="M{LEFT} {y(0):.1f}H{WIDTH - RIGHT}"/>'
    for value in xs:
        yield f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{short(value)}</text>'
    yield f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(axis)}</text>'


def short(value):
    return f"{value // 1_000}k" if value % 1_000 == 0 else f"{value:,}"


def curve(number, name, points, x, y):
    path = "L".join(f"{x(value):.1f} {y(median):.1f}" for value, median, _, _ in points)
    yield f'<path class="line s{number}" d="M{path}"/>'
    for value, median, least, most in points:
        yield f'<path class="bar s{number}" d="M{x(value):.1f} {y(least):.1f}V{y(most):.1f}"/>'
        yield f'<circle class="s{number}" cx="{x(value):.1f}" cy="{y(median):.1f}" r="3"/>'
    at = LEFT + 30 + 180 * number
    yield f'<path class="line s{number}" d="M{at - 28} 46H{at - 6}"/><text x="{at}" y="50">{escape(name)}</text>'
