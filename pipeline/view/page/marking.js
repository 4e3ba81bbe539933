// Marks: right, wrong, corrected. Kept by the server in files that `voxmill calibrate` reads; without one, in this browser, to be saved from there.
"use strict";

vx.stored = () => JSON.parse(localStorage.getItem(`voxmill marks ${vx.files.id}`) || "[]");

vx.putMark = async (segment_id, mark, text = null) => {
  if (!vx.files) return (await vx.fetched("api/mark", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ segment_id, mark, text }) })).json();
  const marks = vx.stored().filter(row => row.segment_id !== segment_id);
  if (mark) marks.push({ segment_id, mark, text });
  localStorage.setItem(`voxmill marks ${vx.files.id}`, JSON.stringify(marks));
};

vx.marking = async (span, label) => {
  const { marks } = await vx.ask("marks");
  let mine = marks.find(row => row.segment_id === span.segment_id);
  const words = vx.el("textarea", { rows: 2, id: "words", "aria-label": "What is really said" }, mine && mine.text !== null ? mine.text : label || "");
  const buttons = [["right", "r"], ["wrong", "w"], ["corrected", "e"]].map(([mark, key]) => vx.el("button", { type: "button", id: `mark-${mark}`, onclick: () => set(mark) }, mark === "corrected" ? "Save correction " : `${mark[0].toUpperCase()}${mark.slice(1)} `, vx.el("kbd", {}, mark === "corrected" ? "e, Ctrl+Enter" : key)));
  const paint = () => buttons.forEach((button, n) => button.setAttribute("aria-pressed", String(mine ? mine.mark === ["right", "wrong", "corrected"][n] : false)));
  const set = async mark => {
    const kind = mine && mine.mark === mark && mark !== "corrected" ? null : mark;
    const text = kind === "corrected" ? words.value : kind === "right" ? label : null;
    await vx.putMark(span.segment_id, kind, text);
    mine = kind ? { segment_id: span.segment_id, mark: kind, text } : undefined;
    paint();
    vx.say(kind ? `marked ${kind}` : "mark taken away");
  };
  paint();
  vx.mark = { set, edit: () => words.focus() };
  words.addEventListener("keydown", event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) set("corrected"); });
  return vx.el("section", { "aria-label": "Your mark" }, vx.el("h2", {}, "Is the label right?"), words, vx.el("div", { class: "buttons" }, buttons, vx.link("#/listen", "next proposal "), vx.el("kbd", {}, "l")),
    vx.el("p", { class: "soft" }, "A label that is marked wrong counts in the share below, and in a calibration only when its true words are given."));
};

vx.views.marks = async main => {
  const told = await vx.ask("marks");
  const wrong = told.marks.filter(row => row.mark === "wrong").length, range = row => (row.heard ? `${vx.percent(row.low)} to ${vx.percent(row.high)}` : "–");
  main.append(
    vx.el("p", {}, vx.link("#/listen", "Listen to the next proposal "), vx.el("kbd", {}, "l"), ` It is of the tier whose next segment narrows the interval of the kept labels most${told.next_tier ? `: ${told.next_tier}` : ""}; within the tier, by chance.`),
    told.kept ? vx.el("p", {}, `Kept labels that are not right in every word: ${vx.percent(told.kept.share)} (95 %: ${vx.percent(told.kept.low)} to ${vx.percent(told.kept.high)}), weighted by hours.`) : vx.el("p", { class: "soft" }, "When every kept tier has a mark, the share of wrong labels is estimated here."),
    vx.table("Tiers", [["tier", row => row.tier], ["kept", row => (row.kept ? "yes" : "no")], ["hours", row => row.hours.toFixed(4), true], ["segments", row => vx.count(row.segments), true], ["marked", row => vx.count(row.heard), true], ["not right", row => vx.count(row.wrong), true], ["95 %", range, true]], told.tiers),
    vx.el("p", {}, `${told.marks.length} marks; ${told.marks.length - wrong} with known words, in ${told.reference}. `, wrong ? vx.el("strong", { class: "bad" }, `${wrong} marked wrong without the true words: a calibration without them says too little error.`) : ""),
    vx.files ? vx.el("p", {}, vx.el("button", { type: "button", id: "save", onclick: () => vx.save(told.marks) }, "Save the reference file"), " for ", vx.el("code", {}, "voxmill calibrate RUN --reference reference.jsonl"), ". Marks stay in this browser.") : vx.el("p", {}, vx.el("code", {}, `voxmill calibrate RUN --reference RUN/${told.reference}`)),
    vx.table("Marks", [["segment", row => vx.link(`#/segment/${row.segment_id}`, row.segment_id)], ["mark", row => row.mark], ["true words", row => row.text ?? ""]], told.marks.slice().reverse()));
};

vx.views.listen = async (main, params) => {
  const next = await vx.ask("next", params);
  if (next.segment_id) location.replace(`#/segment/${next.segment_id}`);
  else main.append(vx.el("p", {}, "Everything is marked."));
};

vx.save = marks => {
  const lines = marks.filter(row => row.mark !== "wrong").map(({ segment_id, text }) => `${JSON.stringify({ segment_id, text })}\n`);
  const url = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  vx.el("a", { href: url, download: "reference.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
};

// Without a server: the tiers as they were written, with the marks of this browser; the same choice of the next tier.
vx.localProgress = async written => {
  const marks = vx.stored(), { rows } = await vx.script("segments", "segments"), tier = new Map(rows.map(row => [row.segment_id, row.tier]));
  const tiers = written.tiers.map(row => {
    const mine = marks.filter(one => tier.get(one.segment_id) === row.tier), wrong = mine.filter(one => one.mark !== "right").length;
    return { ...row, heard: mine.length, wrong, ...vx.wilson(wrong, mine.length) };
  });
  const gain = row => { const rate = (row.wrong + 2 * row.prior) / (row.heard + 2), variance = row.hours ** 2 * Math.max(rate * (1 - rate), 0.01); return variance / Math.max(row.heard, 0.5) - variance / (row.heard + 1); };
  const left = row => rows.some(one => one.tier === row.tier && one.agreed && !one.masked && !marks.some(mark => mark.segment_id === one.segment_id));
  const open = tiers.filter(left).sort((a, b) => Number(b.kept) - Number(a.kept) || gain(b) - gain(a));
  return { ...written, tiers, kept: null, next_tier: open.length ? open[0].tier : null, marks };
};
vx.wilson = (wrong, heard) => {
  if (!heard) return { low: 0, high: 1 };
  const z2 = 1.96 ** 2, share = wrong / heard, middle = share + z2 / (2 * heard), reach = 1.96 * Math.sqrt((share * (1 - share)) / heard + z2 / (4 * heard * heard));
  return { low: Math.max(0, (middle - reach) / (1 + z2 / heard)), high: Math.min(1, (middle + reach) / (1 + z2 / heard)) };
};
vx.localNext = async wanted => {
  const told = await vx.ask("marks"), tier = wanted || told.next_tier, { rows } = await vx.script("segments", "segments");
  const marked = new Set(told.marks.map(row => row.segment_id)), found = rows.find(row => row.tier === tier && row.agreed && !row.masked && !marked.has(row.segment_id));
  return { segment_id: found ? found.segment_id : null, tier };
};
