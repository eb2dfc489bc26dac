// The style sheet and script of pages. Colours: one hue by lightness for load, blue and orange for
// two lines (they differ to colour-blind eyes too), red for overload alone. Charts are as wide as
// the page, their labels are text beside them: a narrow screen gets the same letters.
#include "sim/datacenter/html_page.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::sim::datacenter {

namespace {

constexpr std::string_view kHtmlStyle = R"(
:root{color-scheme:light dark;--page:#f6f6f4;--card:#fff;--ink:#16181a;--soft:#5c6166;--faint:#8b9095;
--line:#e2e3e0;--axis:#b9bcb8;--a:#1f6fd0;--a-fill:#1f6fd022;--b:#d9641e;--off:#eceeeb;--bad:#c92a2a;--good:#1a7f4b}
@media screen and (prefers-color-scheme:dark){:root{--page:#121414;--card:#1b1e1f;--ink:#eef0ef;--soft:#aab0b2;--faint:#7c8386;
--line:#2c3031;--axis:#4a5052;--a:#5b9ff0;--a-fill:#5b9ff026;--b:#f08a4b;--off:#232728;--bad:#ff6b6b;--good:#4cc38a}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI","Noto Sans",
"Noto Sans KR",sans-serif}
main{max-width:1040px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px;font-weight:650}
h2{font-size:16px;margin:0 0 2px;font-weight:620}
p{margin:0;color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(176px,1fr));gap:12px;margin:24px 0}
.card,section{background:var(--card);border:1px solid var(--line);border-radius:10px}
.card{padding:14px 16px}
.card b{display:block;font-size:25px;line-height:1.25;font-weight:620;font-variant-numeric:tabular-nums}
.card b small{font-size:14px;font-weight:500;color:var(--soft);margin-left:3px}
.card span{color:var(--soft);font-size:13px}
section{padding:18px 20px;margin:14px 0}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:8px 0 2px;font-size:13px;color:var(--soft)}
.legend i{display:inline-block;width:18px;height:0;border-top:2.5px solid;margin-right:6px;vertical-align:middle}
.legend i.dash{border-top-style:dashed}
.legend i.area{height:10px;border:0;border-radius:2px}
section{--gutter:104px}
.chart{position:relative;height:190px;margin:32px 0 0 var(--gutter)}
.chart.low{height:96px}
.chart svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible}
.chart path,.chart line{vector-effect:non-scaling-stroke}
.y,.unit{position:absolute;right:100%;padding-right:8px;transform:translateY(-50%);font-size:12px;color:var(--soft);
white-space:nowrap;font-variant-numeric:tabular-nums}
.unit{top:-18px}
.grid{stroke:var(--line)}.axis{stroke:var(--axis)}
.a{stroke:var(--a);fill:none;stroke-width:1.8;stroke-linejoin:round}.a-fill{fill:var(--a-fill)}
.b{stroke:var(--b);fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-dasharray:5 3}
.cross{position:absolute;top:0;bottom:0;width:1px;background:var(--faint);visibility:hidden}
.tip{position:absolute;pointer-events:none;visibility:hidden;top:4px;background:var(--card);color:var(--ink);
border:1px solid var(--axis);border-radius:6px;padding:5px 9px;font-size:12.5px;white-space:pre;
font-variant-numeric:tabular-nums;box-shadow:0 2px 8px #0002;z-index:1}
.map{position:relative;display:grid;grid-template-columns:var(--gutter) minmax(0,1fr);margin-top:10px}
.bands{display:flex;flex-direction:column;font-size:12px;color:var(--soft);text-align:right;padding-right:8px}
.bands div{display:flex;align-items:center;justify-content:flex-end;border-right:2px solid var(--axis);
padding-right:6px;margin:1px 0;min-height:0;line-height:1.2;overflow-wrap:anywhere}
canvas{width:100%;height:320px;image-rendering:pixelated;display:block}
.times{position:relative;height:20px;margin-left:var(--gutter);padding-top:3px;font-size:12px;color:var(--soft)}
.map .times{grid-column:2;margin-left:0}
.times span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.times .last{transform:translateX(-100%)}
.ramp{display:inline-block;width:150px;height:10px;border-radius:2px;margin:0 6px;vertical-align:middle}
table{border-collapse:collapse;width:100%;font-size:14px;margin-top:10px}
td,th{padding:5px 8px 5px 0;border-top:1px solid var(--line);vertical-align:top;text-align:left;font-weight:400}
th.name{font-family:ui-monospace,monospace;font-size:13px}
thead th{border-top:0;color:var(--soft);font-size:13px}
ul,ol{margin:8px 0 0;padding-left:22px}
li{margin:3px 0}
td.n,th.n{text-align:right;padding-right:20px;font-variant-numeric:tabular-nums;white-space:nowrap}
td.about{color:var(--soft)}
pre{margin:10px 0 0;font:12.5px/1.5 ui-monospace,monospace;overflow:auto;max-height:520px}
summary{cursor:pointer;font-weight:620}
.scroll{overflow-x:auto}
@media(max-width:640px){main{padding:20px 12px 40px}section{--gutter:52px;padding:14px 12px}h1{font-size:21px}
.cards{grid-template-columns:1fr 1fr;gap:8px}.card{padding:10px 12px}.card b{font-size:20px}
.times span:nth-child(even){display:none}.bands{font-size:10px;padding-right:3px}.bands div{padding-right:3px}
.chart{height:160px}canvas{height:220px}.ramp{width:90px}
.figures tr{display:grid;grid-template-columns:1fr auto}.figures .about{grid-column:1/-1;border-top:0;padding-top:0}
td.n,th.n{padding-right:8px}}
@media print{*{print-color-adjust:exact;-webkit-print-color-adjust:exact}body{background:#fff;font-size:12px}
main{max-width:none;padding:0}.tip{display:none}section,.card{break-inside:avoid}section:has(table,pre){break-inside:auto}
tr{break-inside:avoid}canvas{height:200px}.chart{height:150px}}
)";

}  // namespace

const char* const kHtmlScript = R"(
const D=JSON.parse(document.getElementById('data').textContent);
const num=(v)=>v>=1000?Math.round(v).toLocaleString('en'):v>=100?v.toFixed(0):v>=10?v.toFixed(1):v.toFixed(2);
const clock=(s)=>{const d=Math.floor(s/86400),h=Math.floor(s/3600)%24,m=Math.floor(s/60)%60;
return (D.end>86400*1.01?'day '+(d+1)+' ':'')+String(h).padStart(2,'0')+':'+String(m).padStart(2,'0')};
document.querySelectorAll('.chart').forEach((box)=>{
const tip=box.querySelector('.tip'),cross=box.querySelector('.cross');
const lines=JSON.parse(box.dataset.lines),unit=box.dataset.unit,scale=+box.dataset.scale;
box.onmousemove=(e)=>{const r=box.getBoundingClientRect(),t=(e.clientX-r.left)/r.width*D.end;
if(t<0||t>D.end||!D.time.length)return hide();
let i=D.time.findIndex((s)=>s>=t);if(i<0)i=D.time.length-1;
const left=D.time[i]/D.end*r.width;cross.style.left=left+'px';cross.style.visibility=tip.style.visibility='visible';
tip.textContent=clock(D.time[i])+lines.map(([k,n])=>'\n'+n+'  '+num(D[k][i]/scale)+' '+unit).join('');
tip.style.left=(left>r.width*.65?left-tip.offsetWidth-12:left+12)+'px'};
const hide=()=>{cross.style.visibility=tip.style.visibility='hidden'};box.onmouseleave=hide});
const map=document.getElementById('map');
if(map){const dark=matchMedia('(prefers-color-scheme: dark)');
const mix=(a,b,t)=>a.map((v,i)=>Math.round(v+(b[i]-v)*t));
const ramp=(t)=>dark.matches?(t<.5?mix([24,56,96],[57,127,212],t*2):mix([57,127,212],[206,230,255],t*2-1))
:(t<.5?mix([214,231,250],[72,140,216],t*2):mix([72,140,216],[10,42,92],t*2-1));
const css=(c)=>'rgb('+c.join(',')+')';
const paint=()=>{const s=getComputedStyle(document.documentElement),off=s.getPropertyValue('--off'),
bad=s.getPropertyValue('--bad'),c=map.getContext('2d');
for(let r=0;r<D.rows;r++)for(let k=0;k<D.columns;k++){const v=D.map.charCodeAt(r*D.columns+k)-35;
c.fillStyle=v<0?off:v>50?bad:css(ramp(v/50));c.fillRect(k,r,1,1)}
document.querySelector('.ramp').style.background='linear-gradient(90deg,'+[0,.25,.5,.75,1].map((t)=>css(ramp(t))).join(',')+')'};
paint();dark.addEventListener('change',paint);
const tip=document.getElementById('map-tip');
map.onmousemove=(e)=>{const r=map.getBoundingClientRect(),k=Math.floor((e.clientX-r.left)/r.width*D.columns),
y=Math.floor((e.clientY-r.top)/r.height*D.rows);if(k<0||y<0||k>=D.columns||y>=D.rows)return;
const v=D.map.charCodeAt(y*D.columns+k)-35;tip.style.visibility='visible';
tip.textContent=clock((k+.5)/D.columns*D.end)+'\n'+(v<0?'off':v>50?'asked for more than it has':'load '+v*2+' %');
const x=e.clientX-r.left,g=map.offsetLeft;
tip.style.left=(x>r.width*.65?x+g-tip.offsetWidth-12:x+g+12)+'px';tip.style.top=(e.clientY-r.top)+'px'};
map.onmouseleave=()=>{tip.style.visibility='hidden'}}
)";

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? ' ' : c;
    }
  }
  return out;
}

std::string grouped(double value, int digits) {
  std::string text = fmt::format("{:.{}f}", value, digits);
  const std::size_t first = text.starts_with('-') ? 1 : 0;
  const std::size_t point = std::min(text.find('.'), text.size());
  for (std::size_t at = point; at > first + 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string html_page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>{}</title><style>{}</style></head>"
      "<body><main>\n{}</main></body></html>\n",
      html_escaped(title), kHtmlStyle, body);
}

std::string html_card(std::string_view value, std::string_view unit, std::string_view name) {
  return fmt::format("<div class=\"card\"><b>{}<small>{}</small></b><span>{}</span></div>",
                     html_escaped(value), html_escaped(unit), html_escaped(name));
}

}  // namespace chorok::sim::datacenter
