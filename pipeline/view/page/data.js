// Where answers come from: the server that this page is of (fetch), or scripts in `data/` where the page is a folder of files.
"use strict";

const voxmill = { put: (key, value) => vx.answers.set(key, value) };
vx.answers = new Map();
vx.files = typeof VOXMILL_RUN === "undefined" ? null : VOXMILL_RUN;

vx.keyOf = (name, params) => {
  const asked = Object.keys(params).sort().map(key => `${key}=${params[key]}`).join("&");
  return asked ? `${name}?${asked}` : name;
};
vx.fileOf = (name, params) => [name, ...Object.keys(params).sort().map(key => String(params[key]).replaceAll(".", "-"))].join("-");

vx.script = (file, key) => vx.answers.has(key) ? Promise.resolve(vx.answers.get(key)) : new Promise((found, failed) => {
  const script = vx.el("script", { src: `data/${file}.js` });
  script.addEventListener("load", () => { script.remove(); found(vx.answers.get(key)); });
  script.addEventListener("error", () => { script.remove(); failed(new Error("that is not in this folder of files: look at the run itself with `voxmill view RUN`")); });
  document.head.append(script);
});

vx.fetched = async (path, options) => {
  const reply = await fetch(path, options);
  if (reply.ok) return reply;
  const told = await reply.json().catch(() => ({ error: reply.statusText }));
  throw new Error(told.error);
};

// Answers about all of a run, which stay what they are while the page is open: asked once.
vx.STAYS = ["overview", "choices", "retention", "distributions", "thresholds", "comparison", "losses"];

vx.ask = (name, params = {}) => {
  const key = vx.keyOf(name, params);
  if (vx.files || !vx.STAYS.includes(name)) return vx.askAnew(name, params);
  if (!vx.answers.has(key)) vx.answers.set(key, vx.askAnew(name, params).catch(error => { vx.answers.delete(key); throw error; }));
  return vx.answers.get(key);
};

vx.askAnew = async (name, params) => {
  if (!vx.files) return (await vx.fetched(`api/${name}?${vx.query(params)}`)).json();
  if (name === "segments") return vx.fromSample((await vx.script("segments", "segments")).rows, params);
  if (name === "segment") return vx.script(`segments/${params.id}`, `segment?id=${params.id}`);
  if (name === "what_if") return vx.fromGrid(await vx.script("what_if", "what_if"), JSON.parse(params.set || "{}"));
  if (name === "marks") return vx.localProgress(await vx.script("marks", "marks"));
  if (name === "next") return vx.localNext(params.tier);
  return vx.script(vx.fileOf(name, params), vx.keyOf(name, params));
};

// The bytes of a clip.
vx.sound = async params => {
  if (!vx.files) return (await vx.fetched(`api/audio?${vx.query(params)}`)).arrayBuffer();
  const text = atob(await vx.script(`audio/${params.id}`, `audio?id=${params.id}`));
  vx.answers.delete(`audio?id=${params.id}`); // it is large, and can be read again
  return Uint8Array.from(text, sign => sign.charCodeAt(0)).buffer;
};

// What the segment table does for the sample of a folder of files: the filters and orders that the server knows.
vx.fromSample = (rows, params) => {
  const measured = (row, name) => (name === "seconds" ? row.num_samples / 16000 : row[name]);
  const passes = row => Object.entries(params).every(([name, value]) => {
    if (name === "kept" || name === "speech") return row[name] === (value === "yes");
    if (name === "moved") return row.kept_then !== null && row.kept_then !== undefined && (row.tier_then !== row.tier || row.kept_then !== row.kept);
    if (name === "text") return !row.masked && (row.text || "").toLowerCase().includes(value.toLowerCase());
    if (name.startsWith("min_")) return measured(row, name.slice(4)) !== null && measured(row, name.slice(4)) >= Number(value);
    if (name.startsWith("max_")) return measured(row, name.slice(4)) !== null && measured(row, name.slice(4)) < Number(value);
    if (["page", "size", "sort", "order", "stage", "against", "thresholds"].includes(name)) return true;
    return (row[name] ?? "") === value;
  });
  const found = rows.filter(passes);
  const sort = params.sort || "start", sign = params.order === "desc" ? -1 : 1;
  if (sort !== "start") found.sort((a, b) => { const x = measured(a, sort) ?? null, y = measured(b, sort) ?? null; return x === y ? 0 : x === null ? 1 : y === null ? -1 : sign * (x - y); });
  else if (sign < 0) found.reverse();
  const size = Number(params.size || 50), page = Number(params.page || 0);
  return { rows: found.slice(page * size, (page + 1) * size), page, size, segments: found.length, hours: found.reduce((sum, row) => sum + row.num_samples, 0) / 57.6e6, sampled: true };
};

// The nearest place of the one slider that was moved.
vx.fromGrid = (grid, set) => {
  const [name] = Object.keys(set);
  if (!name) return grid.now;
  return grid.sliders[name].reduce((best, one) => (Math.abs(one.at - set[name]) < Math.abs(best.at - set[name]) ? one : best));
};
