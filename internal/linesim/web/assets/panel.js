import { api } from "./api.js";
import { el, iconButton } from "./dom.js";
import { clockOf } from "./words.js";

const limit = 200;

// Panel is "LINE says": the calls LINE received and the webhooks it sent, in
// plain words, newest first.
export class Panel {
  constructor(node, close) {
    this.node = node;
    this.only = "";
    this.names = new Map();
    this.list = el("ol", { class: "feed", "aria-label": "Recent calls and webhooks" });
    this.tabs = el("div", { class: "tabs", role: "group", "aria-label": "Show" }, [["", "All"], ["call", "Calls"], ["post", "Webhooks"]].map(([kind, label]) =>
      el("button", { type: "button", "aria-pressed": String(kind === ""), onclick: (e) => this.filter(kind, e.currentTarget) }, label)));
    node.append(el("header", {}, el("h2", {}, "LINE says"), this.tabs, iconButton("close", "Close", close)), this.list);
  }

  filter(kind, button) {
    this.only = kind;
    for (const b of this.tabs.children) b.setAttribute("aria-pressed", String(b === button));
    for (const item of this.list.children) item.hidden = kind !== "" && item.dataset.kind !== kind;
  }

  async load(channel) {
    const [calls, posts] = await Promise.all([api.calls(channel.id), api.deliveries(channel.id)]);
    this.list.replaceChildren();
    const all = [...calls.map((v) => ["call", v]), ...posts.map((v) => ["post", v])].sort((a, b) => new Date(a[1].at) - new Date(b[1].at));
    for (const [kind, v] of all.slice(-limit)) this.add(kind, v);
  }

  add(kind, v) {
    const item = kind === "call" ? this.call(v) : this.post(v);
    item.dataset.kind = kind;
    item.hidden = this.only !== "" && this.only !== kind;
    this.list.prepend(item);
    while (this.list.children.length > limit) this.list.lastChild.remove();
  }

  call(c) {
    const who = this.names.get(c.to) || "";
    const tag = c.accepted && (c.endpoint === "reply" ? el("small", {}, "free") : el("small", { class: "paid" }, "paid"));
    const why = c.unanswered ? "the client got no answer" : c.other_body ? "retry key reused with another body" : c.response?.message || this.sent(c) || `${c.method} ${c.path}`;
    return this.item("call", "→", `${c.endpoint.replaceAll("_", " ")}${who ? ` · ${who}` : ""}`, tag, c.unanswered ? "cut" : String(c.status), c.status >= 500 || c.unanswered ? "bad" : c.status >= 400 ? (c.status === 409 ? "warn" : "bad") : "", why, c.at, c);
  }

  sent(c) {
    const messages = c.body?.messages;
    if (!messages) return "";
    return messages.map((m) => m.text || m.altText || m.type).join(" · ");
  }

  post(d) {
    let events = [];
    try { events = JSON.parse(d.body).events || []; } catch { /* a raw body of a test */ }
    const what = events.length === 0 ? "webhook test" : [...new Set(events.map((e) => e.type))].join(", ");
    const who = [...new Set(events.map((e) => this.names.get(e.source?.userId)).filter(Boolean))].join(", ");
    const notes = [d.redelivery && "redelivered", d.copy && "duplicate", events.length > 1 && `${events.length} events`].filter(Boolean).join(", ");
    const why = d.error || [events.map((e) => e.message?.text || e.message?.type || e.postback?.data || "").filter(Boolean).join(" · "), `${d.duration_ms} ms`].filter(Boolean).join(" — ");
    return this.item("post", "←", `${what}${who ? ` · ${who}` : ""}`, notes && el("small", { class: "paid" }, notes), d.status ? String(d.status) : "—", d.delivered ? "" : "bad", why, d.at, d);
  }

  item(kind, arrow, what, tag, code, state, why, at, all) {
    const line = el("summary", {},
      el("span", { class: `way ${kind}`, "aria-label": kind === "call" ? "API call" : "webhook" }, arrow),
      el("span", { class: "what" }, what, tag), el("span", { class: "code" }, code), el("span", { class: "why" }, `${clockOf(new Date(at), navigator.language)} · ${why}`));
    const details = el("details", { class: state }, line);
    details.addEventListener("toggle", () => {
      if (details.open && !details.querySelector("pre")) details.append(el("pre", { tabIndex: 0 }, pretty(all)));
    });
    return el("li", {}, details);
  }
}

function pretty(v) {
  const shown = { ...v };
  if (typeof shown.body === "string") {
    try { shown.body = JSON.parse(shown.body); } catch { /* not JSON: shown as it is */ }
  }
  delete shown.header;
  return JSON.stringify(shown, null, 1);
}
