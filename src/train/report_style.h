// Style and script of report.html.
#pragma once

namespace nacre {

inline constexpr const char* kReportStyle = R"css(
:root{color-scheme:light dark;--bg:#f6f6f3;--card:#fff;--ink:#1d2023;--muted:#6a7078;--line:#e3e3dd;
--accent:#0f766e;--soft:#e7f2f0;--warn:#9a5b00;--warnbg:#fff4dd;
--c0:#0f766e;--c1:#d9622b;--c2:#3b6fd4;--c3:#b0479a;--c4:#b8860b;--c5:#5a9bd5}
@media(prefers-color-scheme:dark){:root{--bg:#131517;--card:#1b1e21;--ink:#e8e9ea;--muted:#9aa1a9;
--line:#2e3237;--accent:#4fd1c0;--soft:#1d302e;--warn:#f2c063;--warnbg:#33290f;
--c0:#4fd1c0;--c1:#ff9a62;--c2:#8db4ff;--c3:#e58fd1;--c4:#e6c35c;--c5:#9fd0f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,
"Segoe UI",
Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1120px;margin:0 auto;padding:40px 20px 60px}
header{margin-bottom:26px}
h1{font-size:30px;line-height:1.2;margin:0 0 6px;letter-spacing:-.02em;overflow-wrap:anywhere}
h2{font-size:19px;margin:0 0 14px;letter-spacing:-.01em}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:22px 24px;
margin:0 0 18px}
.muted,.sub{color:var(--muted)}
p{margin:0 0 12px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;
margin:0 0 18px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 18px}
.tile b{display:block;font-size:25px;font-weight:600;letter-spacing:-.02em;overflow-wrap:anywhere}
.tile span{color:var(--muted);font-size:13px}
.tile:first-child b{color:var(--accent)}
.warning{background:var(--warnbg);color:var(--warn);border-radius:10px;padding:10px 16px;
margin:0 0 12px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));gap:22px}
.single{max-width:540px}
figure{margin:0;position:relative;min-width:0}
figcaption{font-weight:600;margin-bottom:6px}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{fill:var(--muted);font-size:11.5px;font-variant-numeric:tabular-nums}
.grid{stroke:var(--line);stroke-width:1}.axis{stroke:var(--muted);stroke-width:1}
.curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}
.s4{stroke:var(--c4)}.s5{stroke:var(--c5)}
.f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}.f4{fill:var(--c4)}
.f5{fill:var(--c5)}
.b0{background:var(--c0)}.b1{background:var(--c1)}.b2{background:var(--c2)}.b3{background:var(--c3)}
.b4{background:var(--c4)}.b5{background:var(--c5)}
.bar{fill:var(--c0);opacity:.8}.diagonal{stroke:var(--muted);stroke-width:1.5;stroke-dasharray:5 4}
.cursor{stroke:var(--muted);stroke-dasharray:3 3}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px;color:var(--muted);
padding:6px 0 0 66px}
.legend i{display:inline-block;width:14px;height:3px;border-radius:2px;margin-right:7px;
vertical-align:middle}
.legend i.dashed{border-top:2px dashed var(--muted);height:0}
.tip{position:absolute;pointer-events:none;background:var(--card);border:1px solid var(--line);
border-radius:8px;padding:6px 10px;font-size:12.5px;box-shadow:0 4px 14px #0003;white-space:nowrap;
font-variant-numeric:tabular-nums;display:none;z-index:2}
.tip i{display:inline-block;width:8px;height:8px;border-radius:50%;margin-right:6px}
.scroll{overflow:auto;max-height:520px}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums}
.list{width:100%}
.list th{text-align:left;font-weight:600;color:var(--muted);position:sticky;top:0;
background:var(--card);
z-index:1}
.list th,.list td{padding:6px 12px 6px 0;border-bottom:1px solid var(--line)}
.list tr:last-child td{border-bottom:0}
.list .n{text-align:right}
.list .all td{font-weight:600}
.meter{display:inline-block;width:90px;height:6px;border-radius:3px;background:var(--line);
margin-right:10px;vertical-align:middle;overflow:hidden}
.meter i{display:block;height:100%;background:var(--c0)}
.matrix td,.matrix th{min-width:38px;height:34px;text-align:center;padding:2px 6px;font-weight:400}
.matrix td{border:2px solid var(--card);border-radius:6px;
background:color-mix(in srgb,var(--c1) calc(var(--v)*1%),var(--bg))}
.matrix td.hit{background:color-mix(in srgb,var(--c0) calc(var(--v)*1%),var(--bg))}
.matrix td.hi{color:var(--card)}
.matrix td.zero{color:transparent}
.matrix tbody th{text-align:right;color:var(--muted);padding-right:10px;white-space:nowrap}
.matrix thead th{color:var(--muted);vertical-align:bottom}
.matrix.tilt thead span{display:inline-block;writing-mode:vertical-rl;transform:rotate(180deg);
padding-top:6px;white-space:nowrap}
.mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:14px}
.mistake{border:1px solid var(--line);border-radius:10px;overflow:hidden;font-size:13px}
.mistake img{display:block;width:100%;aspect-ratio:1;object-fit:contain;background:var(--bg)}
.mistake img.tiny{image-rendering:pixelated}
.kernels{display:grid;grid-template-columns:repeat(auto-fill,72px);gap:10px}
.kernels img{display:block;width:72px;aspect-ratio:1;object-fit:contain;image-rendering:pixelated}
.mistake>div{padding:8px 10px}
.mistake b{color:var(--c1)}
.mistake .note{color:var(--muted);overflow-wrap:anywhere;font-size:12px}
pre{background:var(--bg);border:1px solid var(--line);border-radius:8px;padding:12px 14px;margin:0;
overflow:auto;font:13px/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 22px;margin:0}
dt{color:var(--muted)}dd{margin:0;overflow-wrap:anywhere}
.use{margin:0 0 14px}.use:last-child{margin:0}
footer{color:var(--muted);font-size:13px;text-align:center}
@media print{body{background:#fff}section,.tile{break-inside:avoid}.scroll{max-height:none}}
)css";

/// Shows the values under the pointer in each chart.
inline constexpr const char* kReportScript = R"js(
for(const svg of document.querySelectorAll('svg[data-series]')){
const series=JSON.parse(svg.dataset.series),
[x0,x1,px0,px1,y0,y1,py0,py1]=JSON.parse(svg.dataset.scale);
const figure=svg.parentNode,
names=[...figure.querySelectorAll('.legend span')].map(s=>s.textContent);
const tip=document.createElement('div');tip.className='tip';figure.append(tip);
const make=(n)=>svg.appendChild(document.createElementNS('http://www.w3.org/2000/svg',n));
const cursor=make('line');cursor.setAttribute('class','cursor');
const dots=series.map((s,i)=>{const c=make('circle');c.setAttribute('r',4);
c.setAttribute('class','f'+i%6);return c});
const hide=()=>{tip.style.display='none';cursor.style.display='none';
dots.forEach(d=>d.style.display='none')};
hide();svg.addEventListener('pointerleave',hide);
svg.addEventListener('pointermove',e=>{
const box=svg.getBoundingClientRect(),k=560/box.width,mx=(e.clientX-box.left)*k;
const x=x0+(mx-px0)/(px1-px0)*(x1-x0);let best=null;
for(const s of series)for(const v of s.x)if(best===null||Math.abs(v-x)<Math.abs(best-x))best=v;
if(best===null)return hide();
const cx=px0+(best-x0)/(x1-x0)*(px1-px0);tip.replaceChildren();
const head=document.createElement('div');head.textContent=best;tip.append(head);
series.forEach((s,i)=>{let j=-1;
s.x.forEach((v,n)=>{if(s.y[n]!==null&&(j<0||Math.abs(v-best)<Math.abs(s.x[j]-best)))j=n});
dots[i].style.display='none';if(j<0)return;
dots[i].style.display='';dots[i].setAttribute('cx',px0+(s.x[j]-x0)/(x1-x0)*(px1-px0));
dots[i].setAttribute('cy',py0+(s.y[j]-y0)/(y1-y0)*(py1-py0));
const row=document.createElement('div'),mark=document.createElement('i');mark.className='b'+i%6;
row.append(mark,names[i]+'  '+s.y[j]);tip.append(row)});
for(const a of['x1','x2'])cursor.setAttribute(a,cx);
cursor.setAttribute('y1',py0);cursor.setAttribute('y2',py1);cursor.style.display='';
tip.style.display='block';const left=cx/k,flip=left>box.width*.6;
tip.style.left=(flip?left-tip.offsetWidth-12:left+12)+'px';
tip.style.top=(box.top-figure.getBoundingClientRect().top+12)+'px'})}
)js";

}  // namespace nacre
