// What engines and labellers say of one segment: texts word by word, slots with their votes, scores against thresholds, labels.
"use strict";

vx.hypotheses = answer => {
  if (!answer.hypotheses.length) return [];
  const confident = words => (words || []).filter(word => word.confidence !== null).length;
  return [
    vx.el("h2", {}, "What each recogniser heard"),
    vx.table("Hypotheses", [
      ["engine", row => [row.engine, vx.el("br"), vx.el("span", { class: "soft" }, row.model)]],
      ["confidence", row => vx.number(row.confidence), true],
      ["language", row => `${vx.name(row.language)}${row.language_confidence === null ? "" : ` ${vx.percent(row.language_confidence, 0)}`}`],
      ["text, against the label", row => row.rejection ? `${row.rejection.reason} ${row.rejection.detail}` : row.text === null ? vx.el("span", { class: "soft" }, "not shown: personal data") : vx.el("span", { lang: row.language || undefined }, vx.showDiff(answer.text, row.text))],
      ["words with times", row => (row.words ? `${row.words.length}${confident(row.words) ? ", with confidences" : ""}` : "none"), true],
    ], answer.hypotheses),
    vx.el("p", { class: "soft" }, "Struck out: in the label, not heard by this engine. Set apart: heard by this engine, not in the label."),
  ];
};

vx.slots = answer => {
  const consensus = answer.consensus;
  if (!consensus || !consensus.slots || !consensus.slots.length) return [];
  const differs = slot => slot.tie || slot.words.some(word => word !== slot.words[0]);
  const rows = consensus.engines.map((engine, n) => [engine, slot => slot.words[n]]);
  const confidence = vx.wordConfidences(answer);
  return [
    vx.el("h2", {}, "Word by word"),
    vx.el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Alignment" }, vx.el("table", { class: "slots" },
      vx.el("tbody", {},
        [...rows, ["label", slot => slot.choice]].map(([title, word]) => vx.el("tr", {}, vx.el("th", { scope: "row" }, title), consensus.slots.map(slot => vx.el("td", { class: `${differs(slot) ? "differs" : ""} ${word(slot) === null ? "nothing" : ""}` }, word(slot) ?? "–")))),
        vx.el("tr", {}, vx.el("th", { scope: "row" }, "votes"), consensus.slots.map(slot => vx.el("td", {}, slot.share === null ? (slot.tie ? "tie" : "") : `${vx.percent(slot.share, 0)}${slot.tie ? ", tie" : ""}`))),
        confidence.map(([engine, byWord]) => vx.el("tr", {}, vx.el("th", { scope: "row" }, `${engine}: confidence`), vx.spread(consensus, engine, byWord).map(value => vx.el("td", {}, value === undefined ? "" : vx.number(value, 2))))))),
    ),
    vx.el("p", { class: "soft" }, `Compared as ${consensus.unit}s, normalised; rule ${consensus.rule}; ${consensus.num_ties} ties; agreement ${vx.number(consensus.agreement)}`, consensus.vote === null ? "" : `, votes ${vx.percent(consensus.vote)}`, "."),
  ];
};

vx.wordConfidences = answer => answer.hypotheses.filter(row => row.words && row.words.some(word => word.confidence !== null)).map(row => [row.engine, row.words]);

// The confidences of an engine's words along the slots. Normalising may join or split words; then the rest stays empty.
vx.spread = (consensus, engine, words) => {
  const mine = consensus.engines.indexOf(engine);
  let next = 0;
  return consensus.slots.map(slot => {
    const said = slot.words[mine];
    if (said === null || said === undefined) return undefined;
    const at = words.findIndex((word, place) => place >= next && place < next + 3 && vx.bare(word.text) === vx.bare(said));
    if (at < 0) return undefined;
    next = at + 1;
    return words[at].confidence ?? undefined;
  });
};

vx.scores = answer => !answer.scores.length ? [] : [
  vx.el("h2", {}, "Scores against thresholds"),
  vx.table("Scores", [
    ["rule", row => row.reason],
    ["measured", row => (row.measure ? `${vx.titled(row.measure)} ${typeof row.value === "number" ? vx.number(row.value) : vx.name(row.value)}` : "")],
    ["wanted", row => (row.threshold ? `${row.least === true ? "≥ " : row.least === false ? "≤ " : ""}${Array.isArray(row.limit) ? row.limit.map(one => (typeof one === "number" ? vx.number(one, 2) : one)).join(row.threshold === "rate_fence" ? " to " : ", ") || "any" : row.limit === null ? "not asked" : vx.number(row.limit)}` : "")],
    ["threshold", row => (row.threshold ? vx.link("#/thresholds", `select.${row.threshold}`) : "")],
    ["", row => (row.fails ? vx.el("span", { class: "bad" }, "fails") : vx.el("span", { class: "good" }, "passes"))],
  ], answer.scores),
];

vx.marksOf = marks => (marks.length ? marks.map(mark => [mark.kind, mark.value, mark.score === null ? null : vx.number(mark.score, 2), mark.start === null ? null : `${vx.time(mark.start)}–${vx.time(mark.end)}`, mark.confidence === null ? null : vx.percent(mark.confidence, 0)].filter(Boolean).join(" ")).join("; ") : "none");

vx.labels = answer => !answer.labels.length ? [] : [
  vx.el("h2", {}, "Labels"),
  vx.table("Labels", [
    ["task", row => vx.titled(row.task)],
    ["label", row => (row.label ? vx.marksOf(row.label.marks) : "not labelled")],
    ["source", row => (row.label ? [row.label.source, row.label.confidence === null ? "" : ` ${vx.percent(row.label.confidence, 0)}`] : "")],
    ["conflicts", row => (row.label && row.label.against.length ? vx.el("span", { class: "bad" }, `against ${row.label.against.join(", ")}`) : "")],
    ["opinions", row => row.opinions.map(one => [`${one.labeller}: ${one.marks ? vx.marksOf(one.marks) : one.reason || "not sure"}${one.confidence === null ? "" : ` (${vx.percent(one.confidence, 0)})`}`, vx.el("br")])],
  ], answer.labels),
];
