"""The report of a tour: one HTML file in both languages, nothing from outside."""

from __future__ import annotations

import json
from html import escape

from ops.tour.story import MARKS, Step, Story
from shared.vocabulary import Text

MADE_UP = Text("城市中的事实均为演示虚构；时间与数值为本次实测。", "The facts of this city are made up; times and figures were measured in this run.")
STYLE = """
body{font:16px/1.5 system-ui,"Noto Sans CJK SC",sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b2733;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin:2rem 0 .3rem}small,.time{color:#5c6b7a}table{border-collapse:collapse;margin:.5rem 0}
td{padding:.15rem 1.2rem .15rem 0;vertical-align:top}td+td{font-variant-numeric:tabular-nums}p{margin:.2rem 0}
.true{color:#12663a}.missed{color:#a3161b;font-weight:600}
.aside{color:#5c6b7a}pre{background:#f3f5f7;padding:.8rem;overflow:auto;font-size:.8rem}input.lang{position:absolute;opacity:0}label{cursor:pointer;margin-right:1rem}
#zh:checked~main [lang=en],#en:checked~main [lang=zh]{display:none}#zh:checked~[for=zh],#en:checked~[for=en]{font-weight:700}
#zh:focus-visible~[for=zh],#en:focus-visible~[for=en]{outline:2px solid #1c5fa8}
@media(prefers-color-scheme:dark){body{color:#dbe3ea;background:#141a20}pre{background:#1e262e}.true{color:#69c58f}.missed{color:#ff8a8a}}
"""


def report(story: Story, city: str, script: str | None) -> str:
    """The page, in the language of the narration first; the other is a click away."""
    checked = {language: " checked" if story.language == language else "" for language in ("zh", "en")}
    missed = len(story.missed)
    outcome = Text(
        "全部如期发生" if not missed else f"{missed} 项未如期发生", "Everything came true" if not missed else f"{missed} expectations did not come true"
    )
    if story.interrupted:
        outcome = Text(f"中途被打断；{outcome.zh}", f"Interrupted; {outcome.en[0].lower()}{outcome.en[1:]}")
    parts = [
        "<!doctype html>",
        f'<html lang="{"zh-CN" if story.language == "zh" else "en"}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>Liandong {escape(city)}</title><style>{STYLE}</style></head><body>",
        f'<input class="lang" type="radio" name="lang" id="zh"{checked["zh"]}><input class="lang" type="radio" name="lang" id="en"{checked["en"]}>',
        '<label for="zh">中文</label><label for="en">English</label><main>',
        f"<h1>{_both(Text(f'{city} 巡览报告', f'Tour of {city}'))}</h1>",
        f'<p class="{"missed" if missed or story.interrupted else "true"}">{_both(outcome)}</p>',
        f"<p><small>{story.began:%Y-%m-%d %H:%M:%S} UTC</small></p>",
        f"<p>{_both(MADE_UP)}</p>",
        *(_step(step) for step in story.steps),
    ]
    if script:
        parts.append(f"<h2>{_both(Text('逐步手工重做', 'Each step by hand'))}</h2><pre>{escape(script)}</pre>")
    return "\n".join([*parts, "</main></body></html>", ""])


def _step(step: Step) -> str:
    lines = "".join(f'<p class="{line.kind}">{MARKS[line.kind].strip()} {_both(line.text)}</p>' for line in step.lines)
    figures = "".join(f"<tr><td>{_both(label)}</td><td>{_both(value)}</td></tr>" for label, value in step.figures)
    coverage = "".join(
        f"<details><summary>coverage</summary><pre>{escape(json.dumps(found, ensure_ascii=False, indent=1))}</pre></details>" for found in step.coverage
    )
    head = f'<h2>{_both(step.title)} <span class="time">{step.began:%H:%M:%S}, {step.seconds:.1f} s</span></h2>'
    return f'<section id="{step.key}">{head}{lines}<table>{figures}</table>{coverage}</section>'


def _both(text: Text) -> str:
    return f'<span lang="zh">{escape(text.zh)}</span><span lang="en">{escape(text.en)}</span>'
