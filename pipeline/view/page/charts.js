// Histograms of measures, in hours, each bar divided by the values of a facet. A bar leads to its segments.
"use strict";

vx.histogram = (measure, name, groups, rows) => {
  const bins = Math.round((measure.high - measure.low) / measure.step), width = 420, height = 150, left = 58, top = 6;
  const sums = new Float64Array(bins), counts = new Float64Array(bins);
  for (const row of rows) { sums[row.bin] += row.hours; counts[row.bin] += row.segments; }
  const most = Math.max(...sums, 1e-12), wide = (width - left) / bins, y = hours => top + height - (height * hours) / most;
  const edge = bin => Number((measure.low + bin * measure.step).toFixed(4));
  const range = bin => ({ speech: "yes", kind: "speech", ...(bin > 0 && { [`min_${name}`]: edge(bin) }), ...(bin < bins - 1 && { [`max_${name}`]: edge(bin + 1) }) });
  const at = new Float64Array(bins), bars = [];
  groups.forEach((group, place) => {
    for (const row of rows.filter(one => one.value === group)) {
      const tall = (height * row.hours) / most;
      at[row.bin] += tall;
      bars.push(vx.svg("a", { href: `#/segments?${vx.query(range(row.bin))}`, tabindex: "-1" },
        vx.svg("rect", { class: `s${Math.min(place, 6)}`, x: left + row.bin * wide, y: top + height - at[row.bin], width: Math.max(1, wide - 1), height: Math.max(tall, 0.4) },
          vx.svg("title", {}, `${group}: ${vx.hours(row.hours)}, ${vx.count(row.segments)} segments from ${edge(row.bin)} to ${edge(row.bin + 1)} ${measure.unit}`))));
    }
  });
  const total = sums.reduce((a, b) => a + b, 0);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(share => vx.svg("text", { x: left + share * (width - left), y: top + height + 14, "text-anchor": share === 1 ? "end" : share ? "middle" : "start" }, vx.number(measure.low + share * (measure.high - measure.low), 2)));
  return vx.el("figure", { id: `chart-${name}` },
    vx.el("figcaption", {}, measure.title, measure.unit && vx.el("span", { class: "soft" }, ` (${measure.unit})`)),
    total ? [
      vx.svg("svg", { viewBox: `0 0 ${width} ${height + 24}`, "aria-hidden": "true" },
        vx.svg("text", { x: left - 4, y: top + 10, "text-anchor": "end" }, vx.hours(most).replace(" h", "h")), vx.svg("text", { x: left - 4, y: y(0), "text-anchor": "end" }, "0"),
        vx.svg("line", { x1: left, x2: width, y1: top + height, y2: top + height, stroke: "currentColor" }), bars, ticks),
      vx.el("details", {}, vx.el("summary", {}, "As a table"),
        vx.table(measure.title, [["from", bin => vx.link(`#/segments?${vx.query(range(bin))}`, String(edge(bin))), true], ["to", bin => edge(bin + 1), true], ["segments", bin => vx.count(counts[bin]), true], ["hours", bin => sums[bin].toFixed(4), true]],
          [...sums.keys()].filter(bin => counts[bin])))]
      : vx.el("p", { class: "soft" }, "Not measured in this run."));
};

vx.legend = groups => vx.el("ul", { class: "legend" }, groups.map((group, place) => vx.el("li", {}, vx.el("i", { class: `s${Math.min(place, 6)}` }), group)));

vx.bar = share => vx.el("span", { class: "bar", "aria-hidden": "true" }, vx.el("i", { "width%": 100 * Math.min(1, share || 0) }));
