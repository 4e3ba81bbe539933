// The table of segments: filters, order and page are in the address, so that a list can be sent to somebody.
"use strict";

vx.COLUMNS = [
  ["start", "segment", row => row.segment_id], ["seconds", "s", row => (row.num_samples / 16000).toFixed(2)], ["agreement", "agreement", row => vx.number(row.agreement)],
  ["confidence", "confidence", row => vx.number(row.confidence)], ["chars_per_second", "chars/s", row => vx.number(row.chars_per_second, 1)], ["quality", "MOS", row => vx.number(row.quality, 2)],
  ["expected_error", "expected error", row => vx.percent(row.expected_error)],
];

vx.views.segments = async (main, params) => {
  const [{ facets, reasons, measures }, found] = await Promise.all([vx.ask("choices"), vx.ask("segments", params)]);
  const go = change => { location.hash = `#/segments?${vx.query({ ...params, page: undefined, ...change })}`; };
  main.append(vx.filters(params, facets, reasons, measures, go));
  const sort = params.sort || "start", order = params.order || "asc";
  const pages = Math.max(1, Math.ceil(found.segments / found.size));
  const head = ([name, title]) => vx.el("th", { scope: "col", class: name !== "start" && "n", "aria-sort": sort === name ? (order === "asc" ? "ascending" : "descending") : "none" },
    vx.el("button", { type: "button", "data-sort": name, onclick: () => go({ sort: name, order: sort === name && order === "asc" ? "desc" : "asc" }) }, title, sort === name ? (order === "asc" ? " ↑" : " ↓") : ""));
  vx.list = found.rows.map(row => row.segment_id);
  const line = row => vx.el("tr", { class: row.kept ? "" : "soft" },
    vx.el("td", {}, vx.el("a", { href: vx.segmentLink(row, params), class: "row", title: row.segment_id }, vx.short(row))),
    vx.COLUMNS.slice(1).map(([, , cell]) => vx.el("td", { class: "n" }, cell(row))),
    vx.el("td", {}, vx.name(row.language)),
    vx.el("td", {}, row.tier || "", "tier_then" in row ? ` → ${row.tier_then || "not there"}` : ""),
    vx.el("td", {}, row.reason || (row.kept ? "kept" : "")),
    vx.el("td", { lang: row.language || undefined }, row.text || "", row.masked ? vx.el("span", { class: "soft" }, " (masked)") : ""));
  main.append(
    vx.el("p", { id: "found" }, `${vx.count(found.segments)} segments, ${vx.hours(found.hours)}`, found.sampled ? " of those in this folder of files" : ""),
    vx.el("div", { class: "scroll" }, vx.el("table", { id: "segments" }, vx.el("thead", {}, vx.el("tr", {}, vx.COLUMNS.map(head), ["language", "tier", "outcome", "label"].map(title => vx.el("th", { scope: "col" }, title)))), vx.el("tbody", {}, found.rows.map(line)))),
    vx.el("div", { class: "buttons" },
      vx.el("button", { type: "button", id: "previous", disabled: found.page === 0, onclick: () => go({ page: found.page - 1 }) }, "Previous page"),
      `page ${vx.count(found.page + 1)} of ${vx.count(pages)}`,
      vx.el("button", { type: "button", id: "following", disabled: found.page + 1 >= pages, onclick: () => go({ page: found.page + 1 }) }, "Next page")));
  if (!vx.files && !("thresholds" in params) && !("against" in params)) main.append(vx.el("details", { ontoggle: event => { if (event.target.open && !event.target.dataset.drawn) { event.target.dataset.drawn = "yes"; vx.distributions(event.target, Object.fromEntries(Object.entries(params).filter(([name]) => !["page", "sort", "order", "size", "run"].includes(name)))); } } }, vx.el("summary", {}, "How the measures of these segments are spread")));
};

vx.short = row => `${row.recording_id.slice(0, 8)} ${vx.time(row.start)}`;
vx.segmentLink = (row, params = {}) => `#/segment/${encodeURIComponent(row.segment_id)}${params.run ? `?run=${params.run}` : ""}`;

vx.filters = (params, facets, reasons, measures, go) => {
  const pick = (name, values) => vx.el("label", {}, vx.titled(name), vx.el("select", { name, onchange: event => go({ [name]: event.target.value === "*" ? undefined : event.target.value }) },
    vx.el("option", { value: "*" }, "any"), values.map(({ value, segments }) => vx.el("option", { value: value ?? "", selected: params[name] === (value ?? "") }, segments === undefined ? vx.name(value) : `${vx.name(value)} (${vx.count(segments)})`))));
  const chosen = vx.measure || Object.keys(measures).find(name => `min_${name}` in params || `max_${name}` in params) || "agreement";
  const range = (end, label) => vx.el("label", {}, label, vx.el("input", { type: "number", step: "any", name: `${end}_${chosen}`, value: params[`${end}_${chosen}`] ?? "", onchange: event => go({ [`${end}_${chosen}`]: event.target.value || undefined }) }));
  const several = Object.entries(facets).filter(([, values]) => values.length > 1);
  const seen = ["page", "sort", "order", "size", "run", "speech", "kept", "text", "reason", `min_${chosen}`, `max_${chosen}`, ...several.map(([name]) => name)];
  const extra = Object.entries(params).filter(([name]) => !seen.includes(name));
  return vx.el("form", { class: "filters", role: "search", "aria-label": "Segments", onsubmit: event => { event.preventDefault(); go({ text: event.target.elements.text.value || undefined }); } },
    vx.el("label", {}, "words in the label", vx.el("input", { type: "search", name: "text", id: "search", value: params.text ?? "" })),
    pick("speech", ["yes", "no"].map(value => ({ value }))),
    pick("kept", ["yes", "no"].map(value => ({ value }))),
    pick("reason", reasons),
    several.map(([name, values]) => pick(name, values)),
    vx.el("label", {}, "measure", vx.el("select", { name: "measure", onchange: event => { vx.measure = event.target.value; vx.show(); } }, Object.entries(measures).map(([name, one]) => vx.el("option", { value: name, selected: name === chosen }, one.title)))),
    range("min", "from"), range("max", "below"),
    extra.length ? vx.el("span", {}, vx.el("span", { class: "soft" }, extra.map(([name, value]) => `${vx.titled(name)} ${value}`).join(", "), " "), vx.link(`#/segments?${vx.query({ speech: "yes", run: params.run })}`, "clear all")) : "");
};
