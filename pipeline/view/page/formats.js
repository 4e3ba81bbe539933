// Numbers as people read them.
"use strict";

vx.count = n => Number(n).toLocaleString("en");
vx.hours = h => (h === null ? "–" : h >= 100 ? `${vx.count(Math.round(h))} h` : `${h.toFixed(h < 1 ? 4 : 2)} h`);
vx.percent = (x, digits = 1) => (x === null || x === undefined ? "–" : `${(100 * x).toFixed(digits)} %`);
vx.number = (x, digits = 3) => (x === null || x === undefined ? "–" : Number.isInteger(x) ? String(x) : x.toFixed(digits).replace(/0+$/, "").replace(/\.$/, ""));
vx.time = samples => { const s = samples / 16000; return `${Math.floor(s / 60)}:${(s % 60).toFixed(2).padStart(5, "0")}`; };
vx.name = value => (value === null || value === undefined || value === "" ? "not known" : String(value));
vx.query = params => new URLSearchParams(Object.entries(params).filter(([, value]) => value !== undefined && value !== null)).toString();
vx.titled = name => name.replaceAll("_", " ");
