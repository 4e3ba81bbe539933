// Word by word: what one text has that another has not (longest common subsequence).
"use strict";

vx.wordsOf = text => (text || "").split(/\s+/).filter(Boolean);

// [[kind, word]], kind: "=" in both, "-" in the first alone, "+" in the second alone.
vx.diff = (first, second, same = (a, b) => vx.bare(a) === vx.bare(b)) => {
  const a = vx.wordsOf(first), b = vx.wordsOf(second);
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      longest[i][j] = same(a[i], b[j]) ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  const found = [];
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    if (i < a.length && j < b.length && same(a[i], b[j])) { found.push(["=", b[j++]]); i++; }
    else if (j >= b.length || (i < a.length && longest[i + 1][j] >= longest[i][j + 1])) found.push(["-", a[i++]]);
    else found.push(["+", b[j++]]);
  }
  return found;
};
vx.bare = word => word.toLowerCase().replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "");

// The second text, with what it lacks of the first struck out and what it has besides set apart.
vx.showDiff = (first, second) =>
  vx.diff(first, second).map(([kind, word]) => [kind === "=" ? word : vx.el(kind === "-" ? "del" : "ins", {}, word), " "]);
