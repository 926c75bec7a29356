/** Applies an inbox's colour (#rrggbb) to `element`'s accent tokens, with text on it that keeps 4.5:1. */
export function accentApply(element, colour) {
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(colour || "");
  if (!match) return;
  const [red, green, blue] = match.slice(1).map((hex) => {
    const channel = parseInt(hex, 16) / 255;
    return channel <= 0.03928 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  element.style.setProperty("--accent", colour);
  element.style.setProperty("--accent-fill", colour);
  element.style.setProperty("--accent-fill-hover", `color-mix(in oklab, ${colour} 88%, black)`);
  element.style.setProperty("--on-accent", luminance <= 0.183 ? "#ffffff" : "#14161a");
  element.style.setProperty("--accent-text", `light-dark(color-mix(in oklab, ${colour} ${luminance > 0.183 ? 55 : 100}%, black), color-mix(in oklab, ${colour} 45%, white))`);
  element.style.setProperty("--accent-soft", `light-dark(color-mix(in oklab, ${colour} 10%, white), color-mix(in oklab, ${colour} 28%, #15171b))`);
  element.style.setProperty("--focus", `light-dark(color-mix(in oklab, ${colour} ${luminance > 0.183 ? 55 : 100}%, black), color-mix(in oklab, ${colour} 45%, white))`);
}
