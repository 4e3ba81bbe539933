// Sliders for the thresholds of `select`: the hours of `voxmill stats --what-if`, and the errors to expect where the run is calibrated.
"use strict";

vx.views.thresholds = async (main, params) => {
  const told = await vx.ask("thresholds");
  const set = params.set ? JSON.parse(params.set) : {};
  const result = vx.el("div", { id: "what-if", "aria-live": "polite" });
  let asked = 0;
  const ask = async () => {
    const mine = ++asked;
    const answer = await vx.ask("what_if", { set: JSON.stringify(set) });
    if (mine === asked) vx.showWhatIf(result, answer, set, told);
  };
  const later = () => { clearTimeout(vx.waiting); vx.waiting = setTimeout(() => ask().catch(error => vx.say(error.message)), 120); };
  const rows = Object.entries(told.sliders).map(([name, one]) => {
    const shown = vx.el("output", { for: `t-${name}` }, vx.number(set[name] ?? one.now));
    const input = vx.el("input", { type: "range", id: `t-${name}`, min: one.low, max: Math.max(one.high, one.now ?? one.high), step: one.step, disabled: one.now === null, oninput: event => {
      if (vx.files) for (const other of Object.keys(set)) if (other !== name) { delete set[other]; document.getElementById(`t-${other}`).value = told.sliders[other].now; document.querySelector(`output[for="t-${other}"]`).textContent = vx.number(told.sliders[other].now); }
      set[name] = Number(event.target.value);
      shown.textContent = vx.number(set[name]);
      later();
    } });
    input.value = set[name] ?? one.now ?? one.low;
    return vx.el("div", { class: "slider" }, vx.el("label", { for: `t-${name}` }, `select.${name}`), input, one.now === null ? vx.el("span", { class: "soft" }, "off") : shown);
  });
  main.append(
    vx.el("p", {}, "Nothing runs again: all that is needed is in the run's tables. A threshold that is moved takes others along where they would no longer fall.",
      vx.files && ` In a folder of files one threshold moves at a time, by steps.`),
    vx.el("div", { class: "two" }, vx.el("section", { "aria-label": "Thresholds" }, rows, vx.el("p", {}, vx.el("button", { type: "button", onclick: () => { location.hash = "#/thresholds"; for (const key of Object.keys(set)) delete set[key]; vx.show(); } }, "As the run has them"))), result));
  await ask();
};

vx.showWhatIf = (box, answer, set, told) => {
  const expected = Object.fromEntries(answer.expected.map(row => [row.tier, row.expected]));
  const words = Object.entries(set).map(([name, value]) => `--what-if select.${name}=${value}`).join(" ");
  box.replaceChildren(
    vx.table("Hours by tier", [
      ["tier", row => row.tier], ["segments now", row => vx.count(row.segments_now), true], ["then", row => vx.count(row.segments_then), true],
      ["hours now", row => row.hours_now.toFixed(4), true], ["then", row => row.hours_then.toFixed(4), true],
      ["expected error then", row => vx.percent(expected[row.tier]), true],
    ], answer.rows, row => ({ "data-tier": row.tier, "data-hours": row.hours_then, class: row.tier === "kept" ? "here" : "" })),
    vx.el("p", { class: "soft" }, told.calibrated ? "Errors are those that the run's calibration expects, per word." : "No errors are expected: the run has no calibration. Mark some segments, then `voxmill calibrate`."),
    answer.at === undefined ? "" : vx.el("p", { class: "soft" }, `Of the place ${vx.number(answer.at)}, the nearest that this folder of files has.`),
    words ? vx.el("p", {}, vx.el("code", {}, `voxmill stats RUN ${words}`), vx.files ? "" : [" ", vx.link(`#/segments?${vx.query({ thresholds: JSON.stringify(set), moved: "yes" })}`, "the segments that move")]) : "");
};
