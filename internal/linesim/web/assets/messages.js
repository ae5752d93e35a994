import { api, mediaURL } from "./api.js";
import { ask, el, icon, svg } from "./dom.js";
import { perform } from "./actions.js";
import { renderFlex } from "./flex.js";
import { drawSticker } from "./stickers.js";

// content draws what a message carries. The customer's bodies are the
// simulator's Message, the account's are LINE's message objects.
export function content(m, phone) {
  const draw = (m.direction === "customer" ? customer : account)[m.type];
  return draw ? draw(m.body, m, phone) : el("div", { class: "bubble" }, `[${m.type}]`);
}

// summary is the message in one line: for quotes and for screen readers.
export function summary(m, phone) {
  const b = m.body;
  if (m.unsent) return phone.words.unsentOwn;
  return b.text || b.altText || b.title || (m.type === "file" && b.file_name) || { sticker: phone.words.sticker, image: phone.words.photo, video: phone.words.video, audio: phone.words.voice, file: phone.words.file, location: phone.words.location }[m.type] || m.type;
}

const link = /\bhttps?:\/\/[^\s<>"'、。）」』]+/g;

function textNode(text) {
  const out = [];
  let from = 0;
  for (const match of text.matchAll(link)) {
    out.push(text.slice(from, match.index), el("a", { href: match[0], target: "_blank", rel: "noopener noreferrer" }, match[0]));
    from = match.index + match[0].length;
  }
  out.push(text.slice(from));
  return out.filter((part) => part !== "");
}

const onlyEmoji = /^(\p{Extended_Pictographic}(\uFE0F|\u200D\p{Extended_Pictographic}|\p{Emoji_Modifier})*){1,3}$/u;

function bubble(text, m, phone, quotedId) {
  const node = el("div", { class: `bubble${onlyEmoji.test(text) ? " big" : ""}` });
  const quoted = quotedId && phone.messages.get(quotedId);
  if (quoted) {
    node.append(el("span", { class: "quoted" }, el("b", {}, quoted.direction === "customer" ? phone.user.display_name : phone.channel.display_name), summary(quoted, phone).slice(0, 60)));
  }
  node.append(...textNode(text));
  return node;
}

const quotedByToken = (token, phone) => token && [...phone.messages.values()].find((q) => q.quote_token === token)?.id;

const sticker = (packageId, stickerId, phone) => el("div", { class: "sticker", role: "img", "aria-label": `${phone.words.sticker} ${packageId}/${stickerId}` }, drawSticker(packageId, stickerId));

function photo(src, full, phone) {
  const view = () => ask((finish) => el("div", { onclick: () => finish() }, el("img", { src: full, alt: phone.words.photo })), "viewer");
  return el("button", { type: "button", class: "photo", "aria-label": phone.words.photo, onclick: view }, el("img", { src, alt: "", loading: "lazy", onload: phone.settle }));
}

const film = (src, poster, phone, onended) => el("div", { class: "film" }, el("video", { src, poster, controls: true, preload: "none", playsInline: true, onended, "aria-label": phone.words.video }));
// LINE tells that a film of the account was watched to its end where it has a tracking id.
const watched = (b, phone) => (b.trackingId ? () => phone.try(api.videoPlayed(phone.channel.id, phone.user.id, b.trackingId)) : undefined);
const sound = (src, phone) => el("div", { class: "bubble sound" }, el("audio", { src, controls: true, preload: "none", "aria-label": phone.words.voice }));

const map = svg('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 250 106" preserveAspectRatio="xMidYMid slice" class="map"><rect width="250" height="106" fill="#e8efe2"/><path d="M0 30 90 0h60L0 62zM170 106l80-60v60z" fill="#cfe6bd"/><path d="M-5 90C60 60 90 100 150 60S230 30 260 40" fill="none" stroke="#a9d0f5" stroke-width="15"/><g stroke="#fff" stroke-width="7" fill="none"><path d="M60-5 100 115M170-5l-30 120M-5 48 260 20"/></g><g stroke="#ffd98a" stroke-width="8" fill="none"><path d="M-5 20C70 40 150 60 260 92"/></g><path d="M125 78s-17-15-17-29a17 17 0 0 1 34 0c0 14-17 29-17 29z" fill="#e23b4e"/><circle cx="125" cy="49" r="6.5" fill="#fff"/></svg>');

function place(b) {
  const open = () => window.open(`https://maps.google.com/?q=${b.latitude || 0},${b.longitude || 0}`, "_blank", "noopener,noreferrer");
  return el("button", { type: "button", class: "card place", onclick: open },
    map.cloneNode(true),
    el("div", { class: "text" }, el("b", {}, b.title || "📍"), el("small", {}, b.address || `${(b.latitude || 0).toFixed(5)}, ${(b.longitude || 0).toFixed(5)}`)));
}

const bytes = (n = 0) => (n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(1)} KB` : `${(n / 1048576).toFixed(1)} MB`);
const sheet = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 34 40"><path d="M4 1h18l9 9v26a3 3 0 0 1-3 3H4a3 3 0 0 1-3-3V4a3 3 0 0 1 3-3z" fill="#fff" stroke="#9fb0bf" stroke-width="1.5"/><path d="M22 1v9h9" fill="#e6edf3" stroke="#9fb0bf" stroke-width="1.5"/><path d="M8 19h18M8 25h18M8 31h11" stroke="#9fb0bf" stroke-width="2" stroke-linecap="round"/></svg>';

const customer = {
  text: (b, m, phone) => bubble(b.text || "", m, phone, b.quoted_message_id),
  sticker: (b, m, phone) => sticker(b.package_id, b.sticker_id, phone),
  image: (b, m, phone) => photo(b.external_preview_url || b.external_url || mediaURL(m.id, "/preview"), b.external_url || mediaURL(m.id), phone),
  video: (b, m, phone) => film(b.external_url || mediaURL(m.id), b.external_preview_url || mediaURL(m.id, "/preview"), phone),
  audio: (b, m, phone) => sound(mediaURL(m.id), phone),
  file: (b, m) => el("a", { class: "card doc", href: mediaURL(m.id), download: b.file_name }, svg(sheet), el("span", { class: "text" }, el("b", {}, b.file_name), el("small", {}, bytes(b.file_size)))),
  location: place,
};

const account = {
  text: (b, m, phone) => bubble(b.text, m, phone, quotedByToken(b.quoteToken, phone)),
  textV2: (b, m, phone) => bubble(substitute(b), m, phone, quotedByToken(b.quoteToken, phone)),
  sticker: (b, m, phone) => sticker(b.packageId, b.stickerId, phone),
  image: (b, m, phone) => photo(b.previewImageUrl, b.originalContentUrl, phone),
  video: (b, m, phone) => film(b.originalContentUrl, b.previewImageUrl, phone, watched(b, phone)),
  audio: (b, m, phone) => sound(b.originalContentUrl, phone),
  location: place,
  template: (b, m, phone) => templates[b.template.type](b.template, phone),
  flex: (b, m, phone) => renderFlex(b.contents, phone),
  imagemap,
};

function substitute(b) {
  return b.text.replace(/\{\{|\}\}|\{(\w{1,20})\}/g, (all, name) => {
    if (all === "{{") return "{";
    if (all === "}}") return "}";
    const s = b.substitution?.[name];
    if (s?.type === "mention") return s.mentionee.type === "all" ? "@All" : "@you";
    return s?.type === "emoji" ? "🙂" : all;
  });
}

const option = (action, phone) => el("button", { type: "button", onclick: () => perform(action, phone) }, action.label || action.text || "");
const options = (actions, phone, cls = "") => el("div", { class: `options ${cls}` }, actions.map((a) => option(a, phone)));

function card(t, phone, frame) {
  const copy = el("div", { class: "copy" }, t.title && el("b", {}, t.title), t.text);
  const thumb = t.thumbnailImageUrl && el("img", { class: `thumb ${frame.imageAspectRatio || ""} ${frame.imageSize || ""}`, src: t.thumbnailImageUrl, alt: "", loading: "lazy", onload: phone.settle });
  const node = el("div", { class: "card template" }, thumb, copy, options(t.actions, phone));
  if (thumb && t.imageBackgroundColor) thumb.style.background = t.imageBackgroundColor;
  if (t.defaultAction) for (const part of [thumb, copy]) part && (part.classList.add("tap"), part.addEventListener("click", () => perform(t.defaultAction, phone)));
  return node;
}

const templates = {
  buttons: (t, phone) => card(t, phone, t),
  confirm: (t, phone) => el("div", { class: "card template" }, el("div", { class: "copy" }, t.text), options(t.actions, phone, "pair")),
  carousel: (t, phone) => el("div", { class: "reel", role: "group" }, t.columns.map((c) => card(c, phone, t))),
  image_carousel: (t, phone) => el("div", { class: "reel", role: "group" }, t.columns.map((c) =>
    el("button", { type: "button", class: "pick", onclick: () => perform(c.action, phone) }, el("img", { src: c.imageUrl, alt: "" }), c.action.label && el("span", {}, c.action.label)))),
};

function imagemap(b, m, phone) {
  const node = el("div", { class: "imagemap" }, el("img", { src: `${b.baseUrl}/1040`, alt: b.altText, onload: phone.settle }));
  node.style.aspectRatio = `${b.baseSize.width} / ${b.baseSize.height}`;
  for (const a of b.actions) {
    const spot = el("button", { type: "button", "aria-label": a.label || a.text || a.linkUri || "", onclick: () => perform(a.type === "uri" ? { type: "uri", uri: a.linkUri } : a, phone) });
    const part = (n, of) => `${(100 * n) / of}%`;
    Object.assign(spot.style, { left: part(a.area.x, b.baseSize.width), top: part(a.area.y, b.baseSize.height), width: part(a.area.width, b.baseSize.width), height: part(a.area.height, b.baseSize.height) });
    node.append(spot);
  }
  return node;
}

const quickIcons = { camera: "camera", cameraRoll: "photo", location: "pin", datetimepicker: "calendar" };

export function quickReplies(items, phone, done) {
  return items.map((item) => {
    const a = item.action;
    const picture = item.imageUrl ? el("img", { src: item.imageUrl, alt: "" }) : quickIcons[a.type] && icon(quickIcons[a.type]);
    return el("button", { type: "button", onclick: () => { done(a); perform(a, phone); } }, picture, a.label);
  });
}

export const wide = (m) => m.direction === "account" && (m.type === "imagemap" || m.body.template?.type?.endsWith("carousel") || m.body.contents?.type === "carousel");
