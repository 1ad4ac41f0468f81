"""How pages look: light and dark as the reader's system has it, from a phone to paper."""

STYLE = """
:root{color-scheme:light dark;--bg:#fcfcfb;--card:#fff;--ink:#1c1d21;--soft:#62656d;--rule:#e3e3df;
--a:#2a78d6;--b:#9ec5f0;--c:#d97a1f;--good:#16784a;--bad:#bb2d2d;--slow:#8f6100;--pre:#f5f5f2}
@media (prefers-color-scheme:dark){:root{--bg:#17181b;--card:#1f2024;--ink:#e9e9e6;--soft:#a0a3ab;
--rule:#34363c;--a:#5b9fe8;--b:#2f5683;--c:#e89a4e;--good:#5cc48d;--bad:#f08a84;--slow:#e0b354;
--pre:#18191c}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.35rem;line-height:1.35;margin:.2rem 0 1.2rem;white-space:pre-wrap;
overflow-wrap:anywhere;max-height:16rem;overflow:auto;font-weight:600}
h2{font-size:1rem;margin:2rem 0 .6rem}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.86em}
.id{margin:0;color:var(--soft);display:flex;gap:.7rem;align-items:center;flex-wrap:wrap}
.status{border:1px solid;border-radius:1rem;padding:0 .65rem;font-size:.85em;font-weight:600}
.good,.fine{color:var(--good)}.bad,.problem{color:var(--bad)}.slow{color:var(--slow)}
.dull{color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.7rem}
.tiles div,figure,.answer,details{background:var(--card);border:1px solid var(--rule);
border-radius:.6rem}
.tiles div{padding:.7rem .9rem;display:flex;flex-direction:column}
.tiles b{font-size:1.45rem;line-height:1.3;font-weight:600;font-variant-numeric:tabular-nums}
.tiles span{color:var(--soft);font-size:.85em}
.stopped{border-left:3px solid var(--slow);padding:.2rem .8rem;margin:1rem 0}
.answer{padding:.8rem 1rem}
.answer,.said{white-space:pre-wrap;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr));gap:.9rem;
margin-top:1.2rem}
figure{margin:0;padding:.8rem .9rem .6rem}
figcaption{font-weight:600;font-size:.9rem;display:flex;flex-wrap:wrap;gap:.2rem 1rem;
justify-content:space-between;margin-bottom:.7rem}
.legend{display:flex;flex-wrap:wrap;gap:.1rem .8rem;font-weight:400;color:var(--soft);
font-size:.8rem}
.legend i{display:inline-block;width:.7rem;height:.7rem;border-radius:2px;margin-right:.35rem;
background:var(--a)}
.legend .sum,.legend .bound{height:0;border-top:2px solid var(--c);background:none;
vertical-align:.25rem}
.legend .bound{border-top:2px dashed var(--bad)}
.plot{display:flex;gap:.5rem;height:9.5rem}
.plot svg{flex:1;min-width:0;height:100%;display:block}
.scale{display:flex;flex-direction:column;justify-content:space-between;font-size:.72rem;
color:var(--soft);text-align:right;min-width:2.6rem;line-height:1;font-variant-numeric:tabular-nums}
.scale.right{text-align:left}
.steps{margin:.3rem 0 0 3.1rem;font-size:.72rem;color:var(--soft)}
.plot:has(.right)+.steps{margin-right:3.1rem}
.steps span{display:flex;justify-content:space-between;gap:1rem}
.steps b{font-weight:400;white-space:nowrap}
.grid{stroke:var(--rule);stroke-width:1;vector-effect:non-scaling-stroke;fill:none}
.line{fill:none;stroke:var(--c);stroke-width:2;vector-effect:non-scaling-stroke}
.cap{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:5 4;vector-effect:non-scaling-stroke}
svg .a{fill:var(--a)}svg .b{fill:var(--b)}svg .c{fill:var(--c)}svg .hit{fill:transparent}
g:hover .hit{fill:var(--ink);opacity:.08}
.legend .b{background:var(--b)}.legend .c{background:var(--c)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem 1.1rem .3rem 0;border-bottom:1px solid var(--rule);
vertical-align:top}
th{color:var(--soft);font-weight:400}
td{overflow-wrap:anywhere}
.tools td+td,.tools th+th{text-align:right}
details{margin:.35rem 0}
summary{display:flex;gap:.8rem;align-items:baseline;padding:.45rem .9rem;cursor:pointer;
list-style:none}
summary::-webkit-details-marker{display:none}
summary .what{flex:1;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
summary .no,summary .cost{color:var(--soft);font-variant-numeric:tabular-nums}
summary .no{min-width:1.6rem;text-align:right}
details[open]>summary{border-bottom:1px solid var(--rule)}
.in{padding:.6rem 1rem 1rem}
.in ul{margin:0 0 .6rem;padding:0;list-style:none;color:var(--soft);font-size:.85rem;
overflow-wrap:anywhere}
.act{margin-top:.9rem}.act p{margin:0 0 .3rem}
.act p span{font-size:.85rem}
pre{background:var(--pre);border:1px solid var(--rule);border-radius:.4rem;padding:.6rem .8rem;
margin:.3rem 0;overflow:auto;max-height:24rem;white-space:pre-wrap;overflow-wrap:anywhere}
pre.args{border-left:3px solid var(--a)}
@media print{body{background:#fff}details>*{display:block}pre{max-height:none}}
"""
"""Style sheet of a task's page."""
