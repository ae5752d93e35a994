import { el } from "./dom.js";
import { perform } from "./actions.js";

// A simple reading of Flex Messages: boxes, text, spans, images, buttons,
// icons, separators, fillers. Styles are set through the DOM, which the
// page's content security policy allows where style attributes are not.

const gaps = { none: 0, xs: 2, sm: 4, md: 8, lg: 12, xl: 16, xxl: 20 };
const fonts = { xxs: 10.5, xs: 12, sm: 13, md: 15, lg: 18, xl: 20.5, xxl: 27, "3xl": 33, "4xl": 44, "5xl": 66 };
const pictures = { xxs: 40, xs: 60, sm: 80, md: 100, lg: 120, xl: 140, xxl: 160, "3xl": 180, "4xl": 200, "5xl": 220 };
const radii = { none: 0, xs: 2, sm: 4, md: 8, lg: 12, xl: 16, xxl: 20 };
const ends = { start: "flex-start", end: "flex-end", center: "center", top: "flex-start", bottom: "flex-end" };

const length = (value, table) => (value in table ? `${table[value]}px` : /^-?[\d.]+(px|%)$/.test(value) ? value : "");
const colour = (value) => (/^#([0-9a-f]{6}|[0-9a-f]{8})$/i.test(value || "") ? value : "");

export function renderFlex(contents, phone) {
  if (contents.type === "carousel") return el("div", { class: "reel", role: "group" }, (contents.contents || []).map((b) => bubble(b, phone)));
  return bubble(contents, phone);
}

function bubble(b, phone) {
  const node = el("div", { class: `flex size-${b.size || "mega"}`, dir: b.direction || "ltr" });
  for (const name of ["header", "hero", "body", "footer"]) {
    if (!b[name]) continue;
    const style = b.styles?.[name] || {};
    const block = component(b[name], phone, "vertical");
    block.classList.add(`block-${name}`);
    if (style.separator) {
      block.style.borderTop = `1px solid ${colour(style.separatorColor) || "#d4d6da"}`;
    }
    if (colour(style.backgroundColor)) block.style.backgroundColor = style.backgroundColor;
    node.append(block);
  }
  tappable(node, b.action, phone);
  return node;
}

function tappable(node, action, phone) {
  if (!action) return;
  node.classList.add("tap");
  node.tabIndex = 0;
  node.setAttribute("role", "button");
  const run = (e) => { e.stopPropagation(); perform(action, phone); };
  node.addEventListener("click", run);
  node.addEventListener("keydown", (e) => { if (e.key === "Enter" && e.target === node) run(e); });
}

function component(c, phone, parent) {
  const node = (makers[c.type] || (() => el("div")))(c, phone);
  const margin = length(c.margin, gaps);
  if (margin && margin !== "0px") node.style[parent === "vertical" ? "marginTop" : "marginLeft"] = margin;
  // Across, components share the width unless told otherwise; down, they take
  // what they need.
  if (parent !== "vertical") {
    const grow = c.flex ?? (c.type === "icon" || c.type === "separator" ? 0 : 1);
    if (c.type !== "separator") node.style.flex = grow === 0 ? "none" : `${grow} ${grow} 0`;
  } else if (c.flex) node.style.flex = `${c.flex} ${c.flex} auto`;
  if (c.position === "absolute") node.style.position = "absolute";
  for (const [from, to] of [["offsetTop", "top"], ["offsetBottom", "bottom"], ["offsetStart", "left"], ["offsetEnd", "right"]]) {
    if (c[from]) {
      node.style[to] = length(c[from], gaps);
      if (c.position !== "absolute") node.style.position = "relative";
    }
  }
  if (c.gravity) node.style.alignSelf = ends[c.gravity];
  return node;
}

const makers = {
  box(c, phone) {
    const node = el("div", { class: `box ${c.layout}` });
    const s = node.style;
    if (c.spacing) s.gap = length(c.spacing, gaps);
    for (const [from, to] of [["paddingAll", "padding"], ["paddingTop", "paddingTop"], ["paddingBottom", "paddingBottom"], ["paddingStart", "paddingLeft"], ["paddingEnd", "paddingRight"]]) {
      if (c[from]) s[to] = length(c[from], gaps);
    }
    for (const side of ["width", "height", "maxWidth", "maxHeight"]) if (c[side]) s[side] = length(c[side], {});
    if (colour(c.backgroundColor)) s.backgroundColor = c.backgroundColor;
    if (c.background?.type === "linearGradient") {
      const stops = [c.background.startColor, c.background.centerColor, c.background.endColor].map(colour).filter(Boolean);
      s.backgroundImage = `linear-gradient(${parseInt(c.background.angle, 10) || 0}deg, ${stops.join(", ")})`;
    }
    if (c.cornerRadius) { s.borderRadius = length(c.cornerRadius, radii); s.overflow = "hidden"; }
    if (c.borderWidth) {
      s.border = `${{ none: 0, light: 0.5, normal: 1, medium: 2, "semi-bold": 3, bold: 4 }[c.borderWidth] ?? parseFloat(c.borderWidth)}px solid ${colour(c.borderColor) || "#000"}`;
    }
    if (c.justifyContent) s.justifyContent = c.justifyContent;
    if (c.alignItems) s.alignItems = c.alignItems;
    node.append(...(c.contents || []).map((child) => component(child, phone, c.layout)));
    tappable(node, c.action, phone);
    return node;
  },
  text(c, phone) {
    const node = el("div", { class: `text${c.wrap ? " wrap" : ""}` });
    words(node, c, "md");
    if (c.align) node.style.textAlign = c.align;
    if (c.lineSpacing) node.style.lineHeight = `calc(1.4em + ${length(c.lineSpacing, {})})`;
    if (c.maxLines) { node.classList.add("clamp"); node.style.webkitLineClamp = c.maxLines; }
    if (c.contents?.length) node.append(...c.contents.map((s) => words(el("span"), s)));
    else node.textContent = c.text;
    tappable(node, c.action, phone);
    return node;
  },
  image(c, phone) {
    const node = el("div", { class: "picture" }, el("img", { src: c.url, alt: "", loading: "lazy" }));
    const [w, h] = (c.aspectRatio || "1:1").split(":").map(Number);
    const s = node.style;
    s.width = c.size === "full" ? "100%" : length(c.size || "md", pictures);
    s.maxWidth = "100%";
    s.aspectRatio = `${w} / ${h}`;
    s.alignSelf = ends[c.align || "center"];
    if (colour(c.backgroundColor)) s.backgroundColor = c.backgroundColor;
    node.firstChild.style.objectFit = c.aspectMode === "cover" ? "cover" : "contain";
    tappable(node, c.action, phone);
    return node;
  },
  icon(c) {
    const size = length(c.size || "md", fonts);
    return el("img", { src: c.url, alt: "", style: { width: size, height: size, objectFit: "contain" } });
  },
  button(c, phone) {
    const node = el("button", { type: "button", class: `btn ${c.style || "link"} ${c.height || "md"}`, onclick: (e) => { e.stopPropagation(); perform(c.action, phone); } }, c.action?.label || "");
    if (colour(c.color)) node.style[c.style && c.style !== "link" ? "backgroundColor" : "color"] = c.color;
    return node;
  },
  separator(c) {
    const node = el("hr", { class: "rule" });
    if (colour(c.color)) node.style.background = c.color;
    return node;
  },
  filler: () => el("div", { style: { flex: "1" } }),
  video(c) {
    return el("video", { src: c.url, poster: c.previewUrl, controls: true, preload: "none", style: { width: "100%" } });
  },
};

function words(node, c, size) {
  const s = node.style;
  if (c.size || size) s.fontSize = length(c.size || size, fonts);
  if (colour(c.color)) s.color = c.color;
  if (c.weight === "bold") s.fontWeight = "700";
  if (c.style === "italic") s.fontStyle = "italic";
  if (c.decoration && c.decoration !== "none") s.textDecoration = c.decoration;
  if (c.type === "span") node.textContent = c.text || "";
  return node;
}
