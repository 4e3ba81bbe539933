// Two runs side by side: where segments are here and there, and which ones moved.
"use strict";

vx.views.comparison = async main => {
  const found = await vx.ask("comparison");
  if (!found.other) {
    main.append(vx.el("p", {}, "No other run was given. Two runs: ", vx.el("code", {}, "voxmill view RUN --against OTHER"), ". Two settings of one run: move a ", vx.link("#/thresholds", "threshold"), ", and list the segments that move."));
    return;
  }
  const list = row => {
    if (vx.files && !row.moved) return ""; // a folder of files has only those that moved
    const here = { against: "other", tier: row.tier ?? "", kept: row.kept ? "yes" : "no", tier_then: row.tier_then ?? "" };
    return row.here ? vx.link(`#/segments?${vx.query(here)}`, "list") : vx.link(`#/segments?${vx.query({ run: "other", against: "other", speech: "yes", tier: row.tier_then ?? "", tier_then: "" })}`, "list");
  };
  const moved = found.rows.filter(row => row.moved), where = (there, tier, kept) => (there ? `${tier || "no tier"}, ${kept ? "kept" : "not kept"}` : "not there");
  main.append(
    vx.el("p", {}, `${vx.count(moved.reduce((sum, row) => sum + row.segments, 0))} segments of ${vx.runName} are in another tier in ${found.other}, or kept in one of the two alone. `, vx.link(`#/segments?${vx.query({ against: "other", moved: "yes" })}`, "List them")),
    vx.table("Segments here and there", [
      [`in ${vx.runName}`, row => where(row.here, row.tier, row.kept)], [`in ${found.other}`, row => where(row.there, row.tier_then, row.kept_then)],
      ["segments", row => vx.count(row.segments), true], ["hours", row => (row.here ? row.hours.toFixed(4) : ""), true], ["", list],
    ], found.rows, row => ({ class: row.moved ? "here" : "" })),
    vx.el("p", { class: "soft" }, "Segments are the same where they are the same span of the same recording."));
};

// What the other run says of a segment: its outcome, and its label against this one's.
vx.inOther = async (box, ident, params, answer) => {
  const there = !params.run, other = await vx.ask("segment", { id: ident, ...(there && { run: "other" }) }).catch(() => null);
  const name = there ? vx.otherName : vx.runName;
  box.append(vx.el("p", {}, `In ${name}: `, other ? [vx.link(`#/segment/${encodeURIComponent(ident)}${there ? "?run=other" : ""}`, other.span.tier || "no tier"), `, ${other.span.kept ? "kept" : other.span.reason || "not kept"}`, other.text === null ? "" : [": ", vx.showDiff(answer.text, other.text)]] : "this segment is not there"));
};
