// Offsets on the wire count Unicode code points; JavaScript strings count UTF-16 units.

export function countPoints(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** The part of `text` from code point `start` up to `end`. */
export function slicePoints(text, start, end = Infinity) {
  let at = 0;
  let out = "";
  for (const char of text) {
    if (at >= end) break;
    if (at >= start) out += char;
    at += 1;
  }
  return out;
}

/** Text that arrives in pieces with offsets, possibly again after a reconnect. */
export class StreamText {
  constructor() {
    this.text = "";
    this.points = 0;
  }

  /** Adds a piece. Returns false when text before it is missing, so that the caller can ask to resume. */
  add(offset, piece) {
    if (offset > this.points) return false;
    const known = this.points - offset;
    const fresh = known ? slicePoints(piece, known) : piece;
    this.text += fresh;
    this.points += countPoints(fresh);
    return true;
  }
}
