// Messages between the frame and the page that embeds it. Only listed origins are heard, and only the real parent.

export class Bridge extends EventTarget {
  /** `origins`: exact origins that may embed; `parentOrigin`: the one that does, as the server verified it, or "". */
  constructor(origins, parentOrigin) {
    super();
    this.origins = new Set(origins);
    this.parentOrigin = this.origins.has(parentOrigin) ? parentOrigin : "";
    this.embedded = window.parent !== window;
    addEventListener("message", (event) => this.receive(event));
  }

  receive(event) {
    if (!this.embedded || event.source !== window.parent || !this.origins.has(event.origin)) return;
    const data = event.data;
    if (!data || data.nlpsuite !== 1 || typeof data.type !== "string") return;
    this.parentOrigin = event.origin;
    this.dispatchEvent(new CustomEvent(data.type, { detail: data }));
  }

  post(type, data = {}) {
    if (this.embedded && this.parentOrigin) window.parent.postMessage({ nlpsuite: 1, type, ...data }, this.parentOrigin);
  }
}
