"""The page's style sheet: light and dark, wide and narrow."""

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1f2328;--dim:#59636e;--rule:#d1d9e0;--box:#f6f8fa;--warn:#9a6700;
--c0:#0969da;--c1:#bc4c00;--c2:#1a7f37;--c3:#8250df;--c4:#bf3989;--c5:#9a6700;--c6:#0a7d91;--c7:#6e7781}
@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9198a1;--rule:#3d444d;--box:#151b23;
--warn:#d29922;--c0:#58a6ff;--c1:#f0883e;--c2:#3fb950;--c3:#bc8cff;--c4:#f778ba;--c5:#d29922;--c6:#39c5cf;--c7:#9198a1}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}
main{max-width:1120px;margin:0 auto;padding:16px}
h1{font-size:1.7rem;margin:.5rem 0}h2{font-size:1.25rem;margin:2.5rem 0 .5rem;border-bottom:1px solid var(--rule)}
h3{font-size:1rem;margin:1.5rem 0 .25rem}
.note{color:var(--dim);font-size:.875rem;margin:.25rem 0 .75rem;max-width:80ch}
.warn{border-left:4px solid var(--warn);padding:.25rem .75rem;background:var(--box);max-width:80ch}
.wide{overflow-x:auto;margin:.5rem 0}
table{border-collapse:collapse;font-size:.9rem}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--rule);text-align:left;white-space:nowrap}
.n{text-align:right;font-variant-numeric:tabular-nums}
thead th{color:var(--dim);font-weight:600;vertical-align:bottom}thead .n{white-space:normal;min-width:3.6rem}
td:first-child,tr>th:first-child{position:sticky;left:0;background:var(--bg)}
.pictures th,.pictures td{border:0;padding:.15rem .15rem .3rem;vertical-align:top;text-align:center;
font-weight:400;font-size:.8rem}
.pictures tr>th:first-child{text-align:right;vertical-align:middle;min-width:4.8rem;max-width:8.5rem;
white-space:normal;color:var(--dim);padding-right:.6rem}
.pictures thead th{white-space:normal;overflow-wrap:anywhere;max-width:120px}
img{display:block;width:120px;height:auto;image-rendering:pixelated;border-radius:3px}
.cards{display:flex;flex-wrap:wrap;gap:12px}
.card{margin:0;padding:8px;border:1px solid var(--rule);border-radius:6px;max-width:100%}
.card figcaption{width:0;min-width:100%}.card div{display:flex;flex-wrap:wrap;gap:4px}.card span{width:120px}
small{display:block;text-align:center;color:var(--dim);line-height:1.25;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:16px}
figure.chart{margin:0;padding:10px;border:1px solid var(--rule);border-radius:6px;background:var(--box);max-width:640px}
figcaption{font-weight:600;font-size:.9rem}
svg{display:block;width:100%;height:auto;font:13px system-ui,sans-serif}
svg text{fill:var(--dim)}svg .note{font-size:12px}
.grid{stroke:var(--rule);stroke-width:1}.mark{stroke:var(--dim);stroke-dasharray:2 3}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.dashed{stroke-dasharray:7 4}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:.8rem}
.legend i{display:inline-block;width:18px;border-top:3px solid;margin-right:5px;vertical-align:middle}
.legend i.dashed{border-top-style:dashed}
.legend i.dot{width:9px;height:9px;border-width:5px;border-style:solid;border-radius:5px}
pre{background:var(--box);border:1px solid var(--rule);border-radius:6px;padding:8px;font-size:.8rem;
white-space:pre-wrap;overflow-wrap:anywhere;margin:.25rem 0}
@media (max-width:600px){img,.card span{width:92px}main{padding:10px}}
""" + "".join(
    f"circle.c{i}{{fill:var(--c{i})}}.line.c{i}{{stroke:var(--c{i})}}.legend .c{i}{{border-color:var(--c{i})}}"
    for i in range(8)
)
