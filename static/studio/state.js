// What the address of the page holds: the task and its options, never a text.

const PREFIX = "o.";

export function stateRead() {
  const query = new URLSearchParams(location.search);
  const options = {};
  for (const [name, value] of query) {
    if (name.startsWith(PREFIX)) options[name.slice(PREFIX.length)] = parsed(value);
  }
  return { task: query.get("task") || "", options, explain: query.get("explain") === "1" };
}

function parsed(value) {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** Writes the state without a new entry in the history. A value that JSON would read as something else is quoted. */
export function stateWrite({ task, options, explain = false }) {
  const query = new URLSearchParams();
  query.set("task", task);
  for (const [name, value] of Object.entries(options)) {
    const bare = typeof value === "string" && parsed(value) === value;
    query.set(PREFIX + name, bare ? value : JSON.stringify(value));
  }
  if (explain) query.set("explain", "1");
  history.replaceState(null, "", `${location.pathname}?${query}`);
}
