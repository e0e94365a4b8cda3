"""Scaling curves as an SVG file: one small log–log chart beside another, on one scale of time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

__all__ = ["loglog"]

Line = tuple[Sequence[float], Sequence[float]]
INK = {"read": ("#0b62a3", ""), "fit": ("#b3450b", "6 3"), "sweep": ("#2a7a3b", "2 3"), "load": ("#7a3b8f", "8 3 2 3")}
WIDE, TALL, LEFT, TOP, GAP = 190, 210, 56, 34, 24


def loglog(charts: Mapping[str, Mapping[str, Line]]) -> str:
    """The curves of each chart, axis → what → (sizes, seconds)."""
    times = [second for lines in charts.values() for _, seconds in lines.values() for second in seconds]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    width = LEFT + len(charts) * (WIDE + GAP)
    drawn = [
        _chart(axis, lines, LEFT + at * (WIDE + GAP), low, high, at == 0)
        for at, (axis, lines) in enumerate(charts.items())
    ]
    said = "Time against " + ", ".join(charts) + ", both logarithmic."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + TALL + 70}" role="img" '
        f'aria-label="{said}" font-family="system-ui, sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(drawn)}{_legend()}</svg>\n'
    )


def _chart(axis: str, lines: Mapping[str, Line], left: int, low: int, high: int, first: bool) -> str:
    sizes = sorted({size for xs, _ in lines.values() for size in xs})
    span = math.log(sizes[-1] / sizes[0]) or 1.0

    def x(size: float) -> float:
        return left + 10 + (WIDE - 20) * math.log(size / sizes[0]) / span

    def y(second: float) -> float:
        return TOP + TALL * (high - math.log10(second)) / (high - low)

    parts = [f'<text x="{left + WIDE / 2}" y="20" text-anchor="middle" font-weight="600">{axis}</text>']
    for power in range(low, high + 1):
        parts.append(f'<path d="M{left} {y(10.0**power):.1f}h{WIDE}" stroke="#ddd"/>')
        if first:
            parts.append(f'<text x="{left - 6}" y="{y(10.0**power) + 4:.1f}" text-anchor="end">{_time(power)}</text>')
    parts += [
        f'<text x="{x(size):.1f}" y="{TOP + TALL + 16}" text-anchor="middle">{size:,.0f}</text>' for size in sizes
    ]
    for what, (xs, seconds) in lines.items():
        ink, dash = INK[what]
        points = [(x(size), y(second)) for size, second in zip(xs, seconds, strict=True)]
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{ink}" stroke-width="2" stroke-dasharray="{dash}"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{ink}"/>' for a, b in points]
    return "".join(parts)


def _legend() -> str:
    parts = []
    for at, (what, (ink, dash)) in enumerate(INK.items()):
        left, top = LEFT + 90 * at, TOP + TALL + 48
        parts.append(f'<path d="M{left} {top}h28" stroke="{ink}" stroke-width="2" stroke-dasharray="{dash}"/>')
        parts.append(f'<text x="{left + 34}" y="{top + 4}">{what}</text>')
    return "".join(parts)


def _time(power: int) -> str:
    return f"{10**power:,} s" if power >= 0 else f"{10 ** (power + 3):g} ms"
