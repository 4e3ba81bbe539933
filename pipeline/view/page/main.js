// Which view the address asks for (`#/view?parameters`), drawn into the page.
"use strict";

vx.VIEWS = [["overview", "Overview"], ["segments", "Segments", "?speech=yes"], ["thresholds", "Thresholds"], ["comparison", "Compare"], ["marks", "Marks"]];
vx.TITLES = { ...Object.fromEntries(vx.VIEWS.map(([key, text]) => [key, text])), losses: "What was given up", segment: "Segment", listen: "Next proposal" };
vx.leaving = [];

vx.show = async () => {
  const hash = location.hash, [path, query] = hash.replace(/^#\/?/, "").split("?");
  const [view, ident] = (path || "overview").split("/"), name = view in vx.views ? view : "overview";
  if (hash === "#main") return;
  if (name === "segments") vx.lastList = hash;
  vx.leaving.splice(0).forEach(leave => leave());
  vx.playing = vx.mark = null;
  vx.current = ident ? decodeURIComponent(ident) : null;
  const main = document.getElementById("main"), drawn = vx.el("div"), mine = (vx.turn = {}), title = vx.TITLES[name];
  document.title = `${title} – ${vx.runName}`;
  document.getElementById("nav").replaceChildren(...vx.VIEWS.map(([key, text, query = ""], place) => vx.el("a", { href: `#/${key}${query}`, "aria-current": key === name && "page" }, text, " ", vx.el("kbd", { "aria-hidden": "true" }, place + 1))));
  const heading = vx.el("h1", { tabindex: "-1" }, title);
  main.setAttribute("aria-busy", "true");
  try {
    await vx.views[name](drawn, Object.fromEntries(new URLSearchParams(query || "")), vx.current);
  } catch (error) {
    drawn.replaceChildren(vx.el("p", { class: "bad", role: "alert" }, error.message));
  }
  if (mine !== vx.turn) return; // another view was asked for meanwhile
  main.replaceChildren(heading, drawn);
  main.removeAttribute("aria-busy");
  main.dataset.view = name;
  main.dataset.shown = hash;
  if (vx.begun) heading.focus({ preventScroll: true });
  vx.begun = true;
  window.scrollTo(0, 0);
};

addEventListener("hashchange", vx.show);
document.getElementById("help-button").addEventListener("click", vx.help);
vx.ask("overview").then(told => {
  vx.runName = told.name;
  vx.otherName = told.other;
  document.getElementById("run-name").textContent = told.name;
  return vx.show();
}).catch(error => { document.getElementById("main").append(vx.el("p", { class: "bad", role: "alert" }, error.message)); });
