// Keys: everything can be done without a mouse. Single letters are off while something is typed, and can be switched off altogether.
"use strict";

vx.KEYS = [
  ["1 … 5", "overview, segments, thresholds, compare, marks"], ["/", "search words"], ["j, k", "next, previous segment of the list"], ["Enter", "open it"], ["b", "back to the list"],
  ["space", "play or stop the segment"], ["c", "play it with context"], ["n, p", "segment after, before it in the recording"], ["r, w", "label is right, wrong"], ["e", "correct the words; Ctrl+Enter saves"],
  ["l", "listen to the next proposal"], ["?", "this list"],
];

vx.keysOff = () => localStorage.getItem("voxmill keys") === "off";

vx.help = () => {
  const box = document.getElementById("help");
  box.replaceChildren(vx.el("h2", { id: "help-title" }, "Keys"), vx.table("Keys", [["key", ([key]) => vx.el("kbd", {}, key)], ["what it does", ([, what]) => what]], vx.KEYS),
    vx.el("p", {}, vx.el("label", {}, vx.el("input", { type: "checkbox", checked: !vx.keysOff(), onchange: event => localStorage.setItem("voxmill keys", event.target.checked ? "on" : "off") }), " single keys are on")),
    vx.el("form", { method: "dialog" }, vx.el("button", { class: "first" }, "Close")));
  box.showModal();
};

vx.step = by => {
  const rows = [...document.querySelectorAll("a.row")];
  if (rows.length) {
    const at = rows.indexOf(document.activeElement);
    rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))].focus();
  } else if (vx.list && vx.current) {
    const to = vx.list[vx.list.indexOf(vx.current) + by];
    if (to) location.hash = `#/segment/${to}`;
  }
};

vx.onKey = {
  "?": vx.help, "/": () => { const box = document.getElementById("search"); if (box) box.focus(); else location.hash = "#/segments?speech=yes"; },
  j: () => vx.step(1), k: () => vx.step(-1), b: () => { location.hash = vx.lastList || "#/segments?speech=yes"; },
  " ": () => vx.playing && vx.playing.segment(), c: () => vx.playing && vx.playing.context(),
  n: () => { const to = document.getElementById("go-n"); if (to) to.click(); }, p: () => { const to = document.getElementById("go-p"); if (to) to.click(); },
  r: () => vx.mark && vx.mark.set("right"), w: () => vx.mark && vx.mark.set("wrong"), e: () => vx.mark && vx.mark.edit(), l: () => { location.hash = "#/listen"; },
};

document.addEventListener("keydown", event => {
  const typing = event.target.closest("input:not([type=range]):not([type=checkbox]), textarea, select"), pressing = event.key === " " && event.target.closest("button, a, summary, audio, input");
  if (event.key === "Escape" && typing) { event.target.blur(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || typing || pressing || vx.keysOff() || document.getElementById("help").open) return;
  const view = vx.VIEWS[Number(event.key) - 1], act = view ? () => { location.hash = `#/${view[0]}${view[2] || ""}`; } : vx.onKey[event.key];
  if (act) { event.preventDefault(); Promise.resolve(act()).catch(error => vx.say(error.message)); }
});
