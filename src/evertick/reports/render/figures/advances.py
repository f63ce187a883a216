"""How many rise, stand still and fall, one bar for each market, with the counts at its ends."""

from __future__ import annotations

from collections.abc import Iterator

from evertick.reports.blocks import Figure
from evertick.reports.render.figures.lines import nothing
from evertick.reports.render.words import Words, esc


def draw(figure: Figure, words: Words) -> Iterator[str]:
    rows = [r for r in figure.data["rows"] if sum(r[k].value or 0 for k in ("up", "flat", "down")) > 0]
    if not rows:
        yield nothing(words)
        return
    yield f'<p class="vh">{esc(words.plain(figure.label))}</p><ul class="adv">'
    for row in rows:
        counts = [row[k].value or 0.0 for k in ("up", "flat", "down")]
        total = sum(counts)
        left = 0.0
        rects = []
        for css, count in zip(("u3", "d0", "d3"), counts, strict=True):
            width = 100 * count / total
            rects.append(f'<rect class="{css}" x="{left:.1f}%" width="{width:.1f}%" height="100%"/>')
            left += width
        up, down = words.numbers.number(row["up"]), words.numbers.number(row["down"])
        yield (
            f'<li><span class="adv-name">{words.html(row["name"])}</span><span class="up">{up}</span>'
            f'<svg aria-hidden="true">{"".join(rects)}</svg><span class="down">{down}</span>'
            f"<small>{esc(words.say('{n} unchanged', n=row['flat']))}</small></li>"
        )
    yield "</ul>"
