// The first view: funnel, reasons to click through, what is kept of which kind, and how measures are spread.
"use strict";

vx.views = {};
vx.FIRST_SEGMENT_STAGE = 3;

vx.views.overview = async main => {
  const told = await vx.ask("overview");
  const lost = stage => told.rejections.filter(row => row.stage === stage);
  const totals = told.totals;
  main.append(
    vx.el("p", {}, `${vx.count(totals.segments)} segments of speech in ${vx.hours(totals.hours)} of audio; kept: ${vx.count(totals.kept)}, ${vx.hours(totals.kept_hours)}. `,
      vx.files && `This page is a folder of files: figures are of the whole run, and ${vx.count(vx.files.segments)} segments (up to ${vx.files.per_tier} of each tier) can be looked at.`,
      told.redacts && " Personal data was looked for: what was found is masked and silent, and texts that were not searched are not shown."),
    vx.el("h2", {}, "Funnel"),
    vx.table("Funnel", [
      ["stage", row => row.stage],
      ["in", row => `${vx.count(row.rows_in)} ${row.counted}`, true],
      ["kept", row => vx.count(row.rows_kept), true],
      ["hours in", row => (row.seconds_in / 3600).toFixed(4), true],
      ["hours kept", row => (row.seconds_kept / 3600).toFixed(4), true],
      ["", row => [vx.bar(row.rows_kept / (row.rows_in || 1)), row.balanced ? "" : vx.el("span", { class: "bad" }, " does not add up")]],
      ["why the rest is not", row => lost(row.stage).map(one => [vx.reason(one), ` ${vx.count(one.num_rows)}`, vx.el("br")])],
    ], told.funnel, row => ({ "data-stage": row.stage })),
    vx.el("h2", {}, "Tiers"),
    vx.table("Tiers", [
      ["tier", row => vx.link(`#/segments?${vx.query({ tier: row.tier })}`, row.tier)],
      ["segments", row => vx.count(row.segments), true],
      ["hours", row => row.hours.toFixed(4), true],
    ], told.tiers));
  vx.later(main, async box => { await vx.retention(box); await vx.distributions(box); });
};

// What takes longer than the rest of a view comes below it, when it is there.
vx.later = (main, draw) => {
  const box = vx.el("div", { class: "later", "aria-busy": "true" });
  main.append(box);
  draw(box).catch(error => box.append(vx.el("p", { class: "bad", role: "alert" }, error.message))).finally(() => box.removeAttribute("aria-busy"));
};

vx.reason = row => {
  const early = (row.position ?? 0) < vx.FIRST_SEGMENT_STAGE;
  const params = early ? { reason: row.reason } : { stage: row.stage, reason: row.reason };
  return vx.el("a", { href: `#/${early ? "losses" : "segments"}?${vx.query(params)}`, title: `${row.meaning || ""} ${row.advice || ""}` }, row.reason);
};

vx.chooser = (label, values, value, change) =>
  vx.el("label", { class: "field" }, label, vx.el("select", { onchange: event => change(event.target.value) }, values.map(one => vx.el("option", { value: one, selected: one === value }, vx.titled(one)))));

vx.retention = async main => {
  const box = vx.el("div");
  const show = async by => {
    const { rows } = await vx.ask("retention", { by });
    box.replaceChildren(vx.table(`Kept by ${by}`, [
      [by, row => vx.link(`#/segments?${vx.query({ speech: "yes", [by]: row.value ?? "" })}`, vx.name(row.value))],
      ["hours of speech", row => (row.speech_s / 3600).toFixed(4), true],
      ["hours kept", row => (row.kept_s / 3600).toFixed(4), true],
      ["kept of speech", row => vx.percent(row.kept_of_speech), true],
      ["", row => vx.bar(row.kept_of_speech)],
    ], rows.slice(0, 25)), rows.length > 25 ? vx.el("p", { class: "soft" }, "The 25 largest are shown.") : "");
  };
  main.append(vx.el("h2", {}, "What is kept of which speech"), vx.chooser("by", ["language", "domain", "host", "licence", "source", "bandwidth"], "language", show), box);
  await show("language");
};

vx.distributions = async (main, params = {}) => {
  const box = vx.el("div");
  const { measures } = await vx.ask("choices");
  const show = async by => {
    const found = await vx.ask("distributions", { ...params, by });
    box.replaceChildren(vx.legend(found.groups), vx.el("div", { class: "charts" },
      Object.keys(measures).map(name => vx.histogram(measures[name], name, found.groups, found.measures[name]))));
  };
  main.append(vx.el("h2", {}, "How measures are spread"), vx.chooser("by", ["language", "domain", "host", "licence", "tier", "source", "split", "bandwidth"], "language", show), box);
  await show("language");
};

vx.views.losses = async (main, params) => {
  const [found, { meanings }] = await Promise.all([vx.ask("losses", params), vx.ask("choices")]);
  const meaning = meanings[params.reason] || {};
  main.append(vx.el("p", {}, params.reason, ": ", vx.coded(meaning.meaning), ". ", vx.coded(meaning.advice)), vx.el("p", {}, `${vx.count(found.total)} in all${found.total > found.rows.length ? `; the first ${found.rows.length} are shown` : ""}.`),
    vx.table("Items and recordings that were given up", [
      ["address", row => row.url], ["title", row => row.title || ""], ["what it was", row => row.detail], ["seconds", row => vx.number(row.seconds, 1), true],
    ], found.rows));
};
