// Word differences between two texts: what an agent changed in a draft.

const CELLS_MAX = 400_000;

/** [{kind: "same"|"added"|"removed", text}], by words; a text too long to compare counts as replaced. */
export function wordDiff(before, after) {
  const a = before.match(/\s+|\p{Script=Han}|[^\s\p{Script=Han}]+/gu) || [];
  const b = after.match(/\s+|\p{Script=Han}|[^\s\p{Script=Han}]+/gu) || [];
  if (a.length * b.length > CELLS_MAX) return [{ kind: "removed", text: before }, { kind: "added", text: after }];
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = a[i] === b[j] ? longest[(i + 1) * width + j + 1] + 1 : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const parts = [];
  const put = (kind, text) => {
    const last = parts[parts.length - 1];
    if (last?.kind === kind) last.text += text;
    else parts.push({ kind, text });
  };
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      put("same", a[i]);
      i += 1;
      j += 1;
    } else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) put("removed", a[i++]);
    else put("added", b[j++]);
  }
  while (i < a.length) put("removed", a[i++]);
  while (j < b.length) put("added", b[j++]);
  return parts;
}
