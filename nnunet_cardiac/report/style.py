"""Style sheet of the result page: system fonts, light and dark, printable, no external file."""

from __future__ import annotations

CSS = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1c2128; --muted: #5b6570; --rule: #d9dee4; --soft: #f4f6f8; --accent: #0b6bcb;
    --warn: #b3420d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181d; --ink: #e3e8ed; --muted: #9aa5b1; --rule: #2e353d; --soft: #1c2229; --accent: #6cb6ff;
      --warn: #ff9b66;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink); line-height: 1.55; font-size: 16px;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 48px 24px 64px; }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 12px; }
h2 { font-size: 1.25rem; letter-spacing: -0.01em; margin: 56px 0 16px; padding-top: 20px;
  border-top: 1px solid var(--rule); }
p { margin: 0 0 12px; max-width: 75ch; }
header p { font-size: 1.08rem; }
.muted, caption, .key dt, small { color: var(--muted); }
.key { display: flex; flex-wrap: wrap; gap: 1px; margin: 32px 0 0;
  padding: 0;
  background: var(--rule); border: 1px solid var(--rule); border-radius: 10px; overflow: hidden; }
.key div { flex: 1 1 160px; background: var(--page); padding: 16px 18px; }
.key dt { font-size: 0.82rem; }
.key dd { margin: 4px 0 0; font-size: 1.5rem; font-weight: 600; line-height: 1.2;
  font-variant-numeric: tabular-nums; }
.key dd.words { font-size: 1rem; line-height: 1.4; }
.scroll { overflow-x: auto; margin: 0 0 16px; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; text-align: left; padding-top: 10px; font-size: 0.85rem; line-height: 1.5; }
th, td { padding: 6px 12px; text-align: right; white-space: nowrap; vertical-align: baseline; font-weight: 400; }
th:first-child, td:first-child { padding-left: 4px; }
tbody th, tfoot th, thead tr:last-child th:nth-child(-n+2) { text-align: left; }
thead th { font-weight: 600; font-size: 0.82rem; color: var(--muted); border-bottom: 1.5px solid var(--ink); }
thead .groups th { color: var(--ink); text-align: center; border-bottom: 1px solid var(--rule); }
tbody + tbody tr:first-child > * { border-top: 1px solid var(--rule); }
tfoot tr:first-child > * { border-top: 1.5px solid var(--ink); }
.strong > *, tfoot td, tfoot th { font-weight: 600; }
td small { display: inline-block; min-width: 3.3em; margin-left: 4px; font-size: 0.78rem; font-weight: 400; }
.paired th, .paired td { padding-left: 4px; padding-right: 4px; }
.paired tfoot th:first-child { white-space: normal; }
.dense { font-size: 0.82rem; }
.dense th, .dense td { padding: 4px 8px; }
.dense thead th { white-space: normal; }
.review td:last-child { text-align: left; white-space: normal; min-width: 14em; }
figure > figcaption:last-child { color: var(--muted); font-size: 0.85rem; margin: -8px 0 0; }
.worst > * { color: var(--warn); font-weight: 600; }
figure { margin: 0 0 28px; break-inside: avoid; }
figcaption { margin: 0 0 8px; font-size: 0.95rem; }
.badge { display: inline-block; margin-left: 8px; padding: 1px 9px; border: 1px solid currentColor;
  border-radius: 99px;
  color: var(--warn); font-size: 0.78rem; font-weight: 600; }
img { display: block; max-width: 100%; height: auto; }
.film { background: #0c0f12; border-radius: 8px; }
.film img { margin: 0 auto; }
.plot { background: #ffffff; border: 1px solid var(--rule); border-radius: 8px; padding: 8px; }
.plot img { margin: 0 auto; }
.plot.wide img { width: 100%; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; list-style: none; margin: 0 0 20px; padding: 0;
  font-size: 0.9rem; }
.legend i { display: inline-block; width: 22px; height: 12px; margin-right: 8px; border: 2px solid;
  border-radius: 2px; }
.legend i.line { height: 2px; vertical-align: 4px; border: 0; border-radius: 0;
  background: repeating-linear-gradient(90deg, currentColor 0 5px, transparent 5px 9px); }
details summary { cursor: pointer; color: var(--accent); margin: 8px 0 12px; }
pre { margin: 0; padding: 10px 14px; overflow-x: auto; background: var(--soft); border-radius: 6px;
  font-size: 0.85rem; line-height: 1.5; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
:not(pre) > code { font-size: 0.88em; padding: 1px 5px; background: var(--soft); border-radius: 4px; }
.commands { list-style: none; margin: 0 0 16px; padding: 0; }
.commands li { display: grid; grid-template-columns: minmax(0, 1fr) 6.5em; gap: 12px; align-items: center;
  margin-bottom: 6px; }
.commands span { text-align: right; color: var(--muted); font-size: 0.85rem; user-select: none;
  font-variant-numeric: tabular-nums; }
footer { margin-top: 56px; padding-top: 16px; border-top: 1px solid var(--rule); color: var(--muted);
  font-size: 0.85rem; }
@media (max-width: 700px) {
  main { padding: 28px 16px 40px; }
  .film img, .plot img { max-width: none; }
  .film img { width: 860px; } .plot img { width: 640px; }
  .commands li { grid-template-columns: minmax(0, 1fr); gap: 2px; }
  .commands span { text-align: left; }
}
@media print {
  :root { --page: #ffffff; --ink: #000000; --muted: #444444; --rule: #bbbbbb; --soft: #f2f2f2; --accent: #000000;
    --warn: #8a2f05; }
  main { max-width: none; padding: 0; }
  body { font-size: 11pt; }
  h2 { break-after: avoid; margin-top: 28px; }
  tr { break-inside: avoid; }
  .scroll, pre { overflow: visible; }
  .dense { font-size: 7pt; } .dense th, .dense td { padding: 2px 4px; }
  .dense thead th { font-size: 7pt; }
  .plot { border: 0; padding: 0; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  table { font-size: 8.5pt; } th, td { padding: 3px 6px; }
  .film, .key div { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
