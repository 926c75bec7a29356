// What the frame keeps between visits, per widget token. Browsers can refuse storage in a frame; then it is kept in memory.

export class FrameStorage {
  constructor(token) {
    this.prefix = `nlpsuite.widget.${token}.`;
    this.memory = new Map();
  }

  get(name, fallback = null) {
    try {
      const value = localStorage.getItem(this.prefix + name);
      return value === null ? this.fromMemory(name, fallback) : JSON.parse(value);
    } catch {
      return this.fromMemory(name, fallback);
    }
  }

  set(name, value) {
    this.memory.set(name, value);
    try {
      localStorage.setItem(this.prefix + name, JSON.stringify(value));
    } catch {
      // Full or refused: memory has it for this page.
    }
  }

  clear() {
    this.memory.clear();
    try {
      for (const key of Object.keys(localStorage)) if (key.startsWith(this.prefix)) localStorage.removeItem(key);
    } catch {
      // Nothing was stored then.
    }
  }

  fromMemory(name, fallback) {
    return this.memory.has(name) ? this.memory.get(name) : fallback;
  }
}
