// Makes elements of the page. Texts are always texts, never markup: what a run holds comes from the web.
"use strict";

const vx = {};

vx.fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "width%") node.style.width = `${value}%`;
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
};
vx.el = (tag, attributes = {}, ...children) => vx.fill(document.createElement(tag), attributes, children);
vx.svg = (tag, attributes = {}, ...children) => vx.fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
// A text of the run's own words, `code` in backticks.
vx.coded = text => (text || "").split("`").map((part, place) => (place % 2 ? vx.el("code", {}, part) : part));
vx.link = (href, ...children) => vx.el("a", { href }, ...children);

// A table: columns are [title, row => cell, numeric], rows of any kind. The caption is for people who do not see it.
vx.table = (caption, columns, rows, of = () => ({})) =>
  vx.el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    vx.el("table", {},
      vx.el("thead", {}, vx.el("tr", {}, columns.map(([title, , numeric]) => vx.el("th", { scope: "col", class: numeric && "n" }, title)))),
      vx.el("tbody", {}, rows.map(row => vx.el("tr", of(row), columns.map(([, cell, numeric]) => vx.el("td", { class: numeric && "n" }, cell(row))))))));

// Names and values, those that are not known left out.
vx.facts = pairs =>
  vx.el("dl", {}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [vx.el("dt", {}, name), vx.el("dd", {}, value)]));

vx.say = text => {
  document.getElementById("status").textContent = text;
  clearTimeout(vx.silence);
  vx.silence = setTimeout(() => { document.getElementById("status").textContent = ""; }, 4000);
};
