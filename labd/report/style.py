"""The style sheet of the HTML report: light, dark, phone and paper."""

from __future__ import annotations

# Modes: Okabe and Ito's colour-blind safe set (jfly.uni-koeln.de/color). Phases: fills light enough to read text on, told apart
# by name as well. Rates: a ramp of one hue, dark to light. Dark mode lifts the lines and deepens the fills.
_LIGHT = """
--paper:#ffffff; --ink:#1b1f24; --soft:#57606a; --rule:#d0d7de; --zone:#f4f6f8; --accent:#0b5cad; --warn:#8a4b00;
--warnbg:#fff4e0;
--m-always_on:#0072b2; --m-event_sleep:#c04f00; --m-event_reload:#00805c; --m-event_gated:#a8487f;
--p-off:#eceff1; --p-ramp:#d9c7b0; --p-sleep:#dbe7f3; --p-wake:#f7c98b; --p-load:#f3e38c; --p-infer:#9fd0b8; --p-tail:#dcc0de;
--p-idle:#e3e6e9;
--r0:#08306b; --r1:#1f5fa8; --r2:#3f8fc5; --r3:#b07d00; --r4:#d0601a; --r5:#a01c3c; --ka:#c04f00; --kb:#0072b2; --kr:#8c959f;
--s0:#0072b2; --s1:#c04f00; --s2:#00805c; --s3:#a8487f; --s4:#7a5a00; --s5:#4b4bb5;
"""
_DARK = """
--paper:#12161c; --ink:#e6e9ed; --soft:#a3adb8; --rule:#343c46; --zone:#1b2129; --accent:#7ab8f5; --warn:#f2c078;
--warnbg:#33270f;
--m-always_on:#56b4e9; --m-event_sleep:#f0883e; --m-event_reload:#3fd0a0; --m-event_gated:#e493c3;
--p-off:#20262e; --p-ramp:#4d3f2c; --p-sleep:#1d3247; --p-wake:#6b4713; --p-load:#5c5414; --p-infer:#1d5a40; --p-tail:#4d3152;
--p-idle:#2b323a;
--r0:#a6cdf2; --r1:#6fb0ea; --r2:#3f8fd8; --r3:#e8c15a; --r4:#f09050; --r5:#f06a85; --ka:#f0883e; --kb:#56b4e9; --kr:#768390;
--s0:#56b4e9; --s1:#f0883e; --s2:#3fd0a0; --s3:#e493c3; --s4:#e8c15a; --s5:#a9a5f5;
"""

SERIES = tuple("012345")  # of runs and cards in charts

_PAGE = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main,header,footer{max-width:1060px;margin:0 auto;padding:0 16px}
header{padding-top:28px}
h1{font-size:1.65rem;line-height:1.25;margin:0 0 4px}
h2{font-size:1.25rem;margin:44px 0 8px;padding-top:10px;border-top:1px solid var(--rule)}
h3{font-size:1.02rem;margin:24px 0 6px}
p{margin:8px 0;max-width:46rem}
a{color:var(--accent)}
.sub,.note,figcaption{color:var(--soft);font-size:.9rem}
.answer{border-left:4px solid var(--accent);background:var(--zone);padding:10px 16px;margin:16px 0;border-radius:0 6px 6px 0}
.answer li{margin:5px 0}
.answer ul{margin:6px 0;padding-left:20px}
.alert{border-left:4px solid var(--warn);background:var(--warnbg);padding:8px 16px;margin:12px 0;border-radius:0 6px 6px 0}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:4px 16px;padding:0;margin:14px 0;font-size:.92rem}
figure{margin:14px 0 20px}
.scroll{overflow-x:auto;margin:10px 0 16px}
.scroll:focus-visible{outline:2px solid var(--accent)}
table{border-collapse:collapse;font-size:.85rem;min-width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);padding:0 0 6px;font-size:.875rem}
th,td{padding:5px 12px 5px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
td.n,th.n{text-align:right;white-space:nowrap;padding-left:8px}
thead th{border-bottom:2px solid var(--rule);font-weight:600}
tbody th{font-weight:500;white-space:nowrap}
tbody th[scope=row]{position:sticky;left:0;background:var(--paper)}
tr.group th{padding-top:14px;font-weight:600}
.facts th{width:15rem;padding-right:16px}
.nowrap{white-space:nowrap}
.missing{color:var(--soft);font-style:italic}
.foreign td:nth-child(n+4):nth-child(-n+6){color:var(--soft);font-style:italic}
code,pre{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.85em}
code,.key{overflow-wrap:anywhere}
pre{background:var(--zone);padding:10px 14px;border-radius:6px;overflow-x:auto}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;padding:0;margin:6px 0;list-style:none;font-size:.875rem}

.swatch{display:inline-block;width:14px;height:14px;border-radius:3px;border:1px solid var(--soft);vertical-align:-2px;margin-right:6px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:12px;margin:14px 0;padding:0;list-style:none}
.cards li{border:1px solid var(--rule);border-radius:8px;padding:10px 14px;break-inside:avoid}
.cards b{display:block}
.cards .big{font-size:1.15rem;font-weight:600;white-space:nowrap}
details{margin:8px 0}
summary{cursor:pointer;color:var(--accent)}
.narrow{display:none}
.budgets{display:grid;grid-template-columns:repeat(auto-fit,minmax(330px,1fr));gap:4px 32px}
.budgets figure{margin:4px 0 10px;break-inside:avoid}
.budgets h3{margin-top:12px}
footer{margin-top:48px;padding-bottom:40px;color:var(--soft);font-size:.875rem}
@media (max-width:620px){.wide{display:none}.narrow{display:block}h1{font-size:1.35rem}
tbody th.key{white-space:normal;min-width:6.5rem;max-width:9rem}.facts th{width:9rem}}
"""

_FIGURES = """
figure svg{display:block;width:100%;height:auto;font-family:inherit;overflow:visible}
svg text{fill:var(--ink);font-size:12px}
svg .small{font-size:11px}
svg .strong{font-weight:600}
svg .halo{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
svg.modekey{display:inline-block!important;width:26px!important;height:14px!important;
vertical-align:-2px;margin-right:6px}
svg .tick{fill:var(--soft);font-size:11.5px}
svg .axis{font-size:12px}
svg .own{fill:var(--c)}
.grid{stroke:var(--rule);stroke-width:.7}
.frame{fill:none;stroke:var(--soft);stroke-width:1}
.zone,.box{fill:var(--zone)}
.box{stroke:var(--soft)}
.plane{fill:none;stroke:var(--accent);stroke-width:2;stroke-dasharray:7 5}
.supply{stroke:var(--m-event_sleep);stroke-width:3}
.wire{stroke:var(--soft);stroke-width:1.4}
.arrow{fill:var(--ink)}
.phase{opacity:.85}
.bar{stroke:var(--paper);stroke-width:1}
.envelope{fill:var(--ink);opacity:.22}
.trace{fill:none;stroke:var(--ink);stroke-width:1.1;stroke-linejoin:round}
.marker{fill:none;stroke:var(--accent);stroke-width:1.4}
.lens{fill:none;stroke:var(--accent);stroke-width:1.4;stroke-dasharray:4 3}
.band{fill:var(--c);opacity:.22}
.fit{fill:none;stroke:var(--c);stroke-width:1.8}
.beyond{stroke-dasharray:3 4;stroke-width:1.2}
.dot{fill:var(--paper);stroke:var(--c);stroke-width:2}
.alt1 .fit{stroke-dasharray:9 4}.alt2 .fit{stroke-dasharray:2 3}.alt1 .dot,.alt2 .dot{fill:var(--c)}
.error{stroke:var(--c);stroke-width:1.4}
.limit{stroke:var(--c);stroke-width:1.2;stroke-dasharray:1.5 3}
.crossing{stroke:var(--ink);stroke-width:1.1}
.interval{fill:var(--soft);opacity:.28}
.step{fill:none;stroke-width:1.5;stroke-linejoin:round}
.dot.full{fill:var(--c)}
.d1 .fit{stroke-dasharray:9 4}.d2 .fit{stroke-dasharray:2 3}.d3 .fit{stroke-dasharray:9 3 2 3}
.cross{fill:none;stroke:var(--ink);stroke-width:1.6}
.ring{fill:none;stroke:var(--rule);stroke-width:.8}
.front{fill:none;stroke:var(--soft);stroke-width:1.3;stroke-dasharray:5 3}
.k-A{fill:var(--ka);background:var(--ka)} .k-B{fill:var(--kb);background:var(--kb)} .k-rest{fill:var(--kr)}
"""

_PRINT = """
@media print{
body{font-size:10.5pt} main,header,footer{max-width:none;padding:0} nav,summary{display:none} h2{break-after:avoid;margin-top:22px}
figure,tr,.answer{break-inside:avoid} .scroll{overflow:visible} table{font-size:8.5pt} a{color:inherit;text-decoration:none}
.wide{display:block!important}.narrow{display:none!important} details::details-content{content-visibility:visible;display:block;height:auto}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
"""


def variables(names: tuple[str, ...], letter: str) -> str:
    """`.m-x{--c:var(--m-x)}` for modes and `.s0` for runs, `.p-x{fill:...;background:...}` for phases."""
    if letter == "m":
        return "".join(f".m-{n}{{--c:var(--m-{n})}}" for n in names)
    if letter == "s":
        return "".join(f".s{n}{{--c:var(--s{n})}}" for n in names)
    if letter == "p":
        return "".join(f".p-{n}{{fill:var(--p-{n});background:var(--p-{n})}}" for n in names)
    return "".join(f".{letter}{n}{{stroke:var(--{letter}{n});background:var(--{letter}{n})}}" for n in names)


def drawing() -> str:
    """For a picture that stands alone in a file: always light."""
    page = "svg.drawing{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}.paper{fill:var(--paper)}"
    return f":root{{{_LIGHT}}}{page}{_FIGURES}{variables(SERIES, 's')}"


def sheet(modes: tuple[str, ...], phases: tuple[str, ...], shades: int) -> str:
    """The whole sheet. Paper is always light."""
    ramp = tuple(str(k) for k in range(shades))
    classes = variables(modes, "m") + variables(phases, "p") + variables(ramp, "r") + variables(SERIES, "s")
    root = f":root{{color-scheme:light dark;{_LIGHT}}}@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    return root + _PAGE + _FIGURES + classes + _PRINT
