// One segment: why it was kept or not, its sound, texts, scores, labels, and where it came from.
"use strict";

vx.views.segment = async (main, params, ident) => {
  const asked = { id: ident, ...(params.run && { run: params.run }) };
  const [answer, { meanings }] = await Promise.all([vx.ask("segment", asked), vx.ask("choices")]);
  const span = answer.span, label = answer.text;
  main.append(
    vx.el("p", { class: "soft" }, `${ident}${params.run ? " in the other run" : ""}`),
    vx.el("p", { class: "text", lang: span.language || undefined }, label ?? (answer.withheld ? vx.el("span", { class: "soft" }, "The text is not shown: it was not searched for personal data.") : vx.el("span", { class: "soft" }, "no label")),
      answer.masked.length ? vx.el("span", { class: "soft" }, ` (masked: ${answer.masked.join(", ")})`) : ""),
    vx.verdict(answer, meanings),
    vx.player(asked, answer));
  if (span.agreed && span.kind === "speech" && !params.run && !answer.masked.length && !answer.withheld) main.append(await vx.marking(span, label));
  if (vx.otherName && !vx.files) vx.later(main, box => vx.inOther(box, ident, params, answer));
  main.append(...vx.hypotheses(answer), ...vx.slots(answer), ...vx.scores(answer), ...vx.labels(answer), vx.origin(answer), vx.around(answer, params));
};

vx.verdict = (answer, meanings) => {
  const span = answer.span, rejected = answer.selection.rejection || (answer.consensus && answer.consensus.rejection) || span.rejection;
  const meaning = meanings[span.reason] || {};
  return vx.el("p", {}, span.kept
    ? [vx.el("strong", { class: "good" }, "Kept"), `, tier ${span.tier}, split ${span.split}, weight ${vx.number(answer.selection.weight)}`, span.expected_error === null ? "" : `, expected error ${vx.percent(span.expected_error)}`, ". It broke no rule of select."]
    : [vx.el("strong", { class: "bad" }, "Not kept"), `: ${span.reason || "it did not get to the end"}`, rejected && rejected.detail ? ` (${rejected.detail})` : "", ": ", vx.coded(meaning.meaning), ". ", vx.el("span", { class: "soft" }, vx.coded(meaning.advice))]);
};

vx.origin = answer => {
  const span = answer.span, from = answer.provenance || {}, licence = answer.licence || {}, recording = answer.recording || {};
  const address = url => (url && /^https?:/.test(url) ? vx.el("a", { href: url, rel: "noreferrer noopener" }, url) : url);
  return vx.el("div", { class: "two" },
    vx.el("section", {}, vx.el("h2", {}, "Provenance and licence"), vx.facts([
      ["address", address(from.url)], ["page", address(from.page_url)], ["title", from.title], ["author", from.author], ["published", from.published], ["host", from.host], ["source", from.source],
      ["permission", from.permission], ["licence", licence.name], ["stated by", licence.source], ["evidence", address(licence.evidence)], ["to be named", licence.attribution],
      ["shard", answer.shard.map(row => row.shard).join(", ")]])),
    vx.el("section", {}, vx.el("h2", {}, "Recording and measures"), vx.facts([
      ["recording", span.recording_id], ["from", `${vx.time(span.start)}, ${vx.number(span.seconds, 2)} s of ${vx.time(recording.num_samples || 0)}`],
      ["file", [recording.container, recording.codec, recording.sampling_rate && `${recording.sampling_rate} Hz`, recording.num_channels && `${recording.num_channels} channels`].filter(Boolean).join(", ")],
      ["bandwidth", recording.bandwidth && `${recording.bandwidth}, cut off at ${vx.count(recording.cutoff_hz || 0)} Hz`], ["domain", span.domain], ["language", span.language],
      ["speech probability", span.probability === undefined ? null : vx.number(span.probability)], ["DNSMOS overall", span.quality === null ? null : vx.number(span.quality, 2)], ["characters per second", span.chars_per_second === null ? null : vx.number(span.chars_per_second, 1)],
      ["gain", recording.gain_db && `${vx.number(recording.gain_db, 1)} dB`], ["lost of the file", recording.lost_samples ? `${vx.number(recording.lost_samples / 16000, 1)} s: ${recording.lost_why}` : null]]),
      vx.el("h2", {}, "Verdicts"), vx.table("Verdicts", [["stage", row => row.stage], ["verdict", row => (row.kept ? "kept" : row.kept === null ? "no answer" : row.reason)]], answer.verdicts)));
};

vx.around = (answer, params) => {
  const to = (row, title, key) => row && vx.el("a", { href: vx.segmentLink(row, params), id: `go-${key}` }, `${title}${row.speech ? "" : " (no speech)"} `, vx.el("kbd", {}, key));
  return vx.el("p", { class: "buttons" }, to(answer.neighbours.before, "Before it in the recording", "p"), to(answer.neighbours.after, "After it in the recording", "n"));
};
