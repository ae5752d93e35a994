import { api, avatarURL, listen } from "./api.js";
import { ask, el, toast } from "./dom.js";
import { Panel } from "./panel.js";
import { Phone } from "./phone.js";
import { languages } from "./words.js";

const $ = (id) => document.getElementById(id);
const remembered = (key, otherwise) => { try { return JSON.parse(localStorage.getItem(`linesim.${key}`)) ?? otherwise; } catch { return otherwise; } };
const remember = (key, value) => { try { localStorage.setItem(`linesim.${key}`, JSON.stringify(value)); } catch { /* private mode: forgotten at reload */ } };

// More phones than fit on a desk are opened on demand.
const atFirst = 4;

const state = { channels: [], users: [], channel: null, phones: new Map(), shown: null };
const panel = new Panel($("panel"), () => showPanel(false));
const query = new URLSearchParams(location.search);
if (query.has("theme")) document.documentElement.dataset.theme = query.get("theme");

async function start() {
  [state.channels, state.users] = await Promise.all([api.channels(), api.users()]);
  for (const u of state.users) panel.names.set(u.id, u.display_name);
  const wanted = query.get("channel") || remembered("channel");
  state.channel = state.channels.find((c) => c.id === wanted) || state.channels[0] || null;
  state.shown = remembered("shown", null);
  drawAccounts();
  await openAll();
}

// refresh catches up after events were missed, and leaves what is being typed.
async function refresh() {
  if (!state.channel) return start();
  [state.channels, state.users] = await Promise.all([api.channels(), api.users()]);
  for (const u of state.users) panel.names.set(u.id, u.display_name);
  state.channel = state.channels.find((c) => c.id === state.channel.id);
  if (!state.channel) return start();
  drawAccounts();
  return Promise.all([...[...state.phones.values()].map((p) => p.load()), panel.load(state.channel), meter()]);
}

function drawAccounts() {
  $("account").replaceChildren(...state.channels.map((c) => el("option", { value: c.id, selected: c.id === state.channel?.id }, c.display_name)));
  $("account").disabled = state.channels.length < 2;
  $("add").disabled = !state.channel;
}

const shownUsers = () => {
  const known = state.shown?.map((id) => state.users.find((u) => u.id === id)).filter(Boolean);
  return known?.length || state.shown?.length === 0 ? known || [] : state.users.slice(0, atFirst);
};

async function openAll() {
  state.phones.clear();
  if (!state.channel) {
    $("phones").replaceChildren(el("p", { class: "empty" }, el("strong", {}, "No official account yet"), "Add one with ", el("code", {}, "POST /_control/channels"), " or from Go with AddChannel."));
    return;
  }
  const users = shownUsers();
  $("phones").replaceChildren(...(users.length ? [] : [el("p", { class: "empty" }, el("strong", {}, "No customers on the desk"), "Add one and write to the account as they would.")]));
  await Promise.all([...users.map(openPhone), panel.load(state.channel), meter()]);
}

async function openPhone(user) {
  if (state.phones.has(user.id)) return state.phones.get(user.id);
  const phone = new Phone(user, state.channel, () => hidePhone(user.id));
  state.phones.set(user.id, phone);
  $("phones").querySelector(".empty")?.remove();
  $("phones").append(phone.node);
  try { await phone.load(); } catch (error) { toast(error.message); }
  return phone;
}

function hidePhone(id) {
  state.phones.get(id)?.node.remove();
  state.phones.delete(id);
  keepShown();
  if (state.phones.size === 0) openAll();
}

function keepShown() {
  state.shown = [...state.phones.keys()];
  remember("shown", state.shown);
}

async function meter() {
  const c = state.channel;
  const used = await api.consumption(c.id);
  const part = (label, value, cls = "", title = "") => el("div", { class: cls, title }, el("dt", {}, label), el("dd", {}, value));
  const parts = [
    part("Free replies", String(used.replies), "", "Replies with a reply token cost nothing"),
    part("Paid pushes", used.quota ? `${used.pushes} / ${used.quota}` : String(used.pushes), used.quota && used.pushes >= used.quota ? "over" : "", "One for each recipient, this calendar month in Japan's time"),
  ];
  if (!c.webhook_active || !c.webhook_url) parts.push(part("Webhook", c.webhook_url ? "off" : "not set", "over", "Events are lost until it is set and on"));
  $("meter").replaceChildren(...parts);
}

let meterSoon;
const meterLater = () => { clearTimeout(meterSoon); meterSoon = setTimeout(() => meter().catch(() => {}), 150); };

$("account").addEventListener("change", (e) => {
  state.channel = state.channels.find((c) => c.id === e.target.value);
  remember("channel", state.channel.id);
  openAll();
});

$("says").addEventListener("click", () => showPanel($("panel").hidden));

function showPanel(open) {
  $("panel").hidden = !open;
  $("says").setAttribute("aria-expanded", String(open));
  remember("panel", open);
}

$("add").addEventListener("click", async () => {
  const away = state.users.filter((u) => !state.phones.has(u.id)).slice(0, 200);
  const user = await ask((finish) => {
    const name = el("input", { required: true, maxLength: 40, autocomplete: "off", placeholder: "花子" });
    const language = el("select", {}, languages.map(([code, label]) => el("option", { value: code }, label)));
    const create = async (e) => {
      e.preventDefault();
      try { finish({ fresh: true, ...(await api.addUser({ display_name: name.value.trim(), language: language.value })) }); } catch (error) { toast(error.message); }
    };
    return el("form", { onsubmit: create }, el("h2", {}, "A customer's phone"),
      away.length > 0 && el("div", { class: "choices" }, away.map((u) => el("button", { type: "button", onclick: () => finish(u) }, el("img", { src: avatarURL(u.id, u.picture_url), alt: "" }), el("span", {}, u.display_name, el("small", {}, u.language || ""))))),
      el("div", { class: "row" }, el("label", {}, "New customer's name", name), el("label", {}, "Language", language)),
      el("div", { class: "ends" }, el("button", { type: "button", class: "button quiet", onclick: () => finish() }, "Cancel"), el("button", { class: "button" }, "Add")));
  });
  if (!user) return;
  const { fresh, ...known } = user;
  if (!state.users.some((u) => u.id === known.id)) state.users.push(known);
  panel.names.set(known.id, known.display_name);
  const phone = await openPhone(known);
  keepShown();
  phone.node.scrollIntoView({ inline: "center", behavior: "smooth" });
  // Adding the account as a friend is what a new customer does first.
  if (fresh) phone.try(api.follow(state.channel.id, known.id));
  phone.input?.focus();
});

// A group that the account was invited to is a phone of its own, until the page
// is loaded again.
document.addEventListener("group", (e) => openPhone(e.detail).then((phone) => phone.node.scrollIntoView({ inline: "center", behavior: "smooth" })));

const mine = (v) => v.channel_id === state.channel?.id;
const phoneOf = (v) => (mine(v) ? state.phones.get(v.chat_id ?? v.user_id) : undefined);

listen({
  message: (m) => phoneOf(m)?.add(m),
  unsend: (v) => phoneOf(v)?.unsend(v.message_id),
  edit: (v) => phoneOf(v)?.edited(v.message_id, v.text),
  read: (v) => phoneOf(v)?.read(v.message_id),
  loading: (v) => phoneOf(v)?.startTyping(v.seconds),
  // A menu that was changed for everybody is of no phone.
  menu: (v) => { if (mine(v)) for (const p of phoneOf(v) ? [phoneOf(v)] : state.phones.values()) p.try(p.rich.load()); },
  block: (v) => { const p = phoneOf(v); if (p) { p.setBlocked(v.blocked); p.drawQuick(); } },
  call: (c) => { if (mine(c)) { panel.add("call", c); if (c.accepted) meterLater(); } },
  delivery: (d) => { if (mine(d)) panel.add("post", d); },
  user: (u) => {
    panel.names.set(u.id, u.display_name);
    const i = state.users.findIndex((k) => k.id === u.id);
    if (i >= 0) state.users[i] = u; else state.users.push(u);
    if (state.shown === null && state.channel && state.phones.size < atFirst && !state.phones.has(u.id)) openPhone(u);
  },
  channel: (c) => {
    const i = state.channels.findIndex((k) => k.id === c.id);
    if (i >= 0) state.channels[i] = c; else state.channels.push(c);
    if (!state.channel) { state.channel = c; openAll(); } else if (state.channel.id === c.id) { state.channel = c; meterLater(); }
    drawAccounts();
  },
  reload: () => refresh().catch((error) => toast(error.message)),
}, (up) => { $("link-state").textContent = up ? "" : "Reconnecting…"; });

setInterval(() => { for (const p of state.phones.values()) p.tick(); }, 10000);
if (query.has("panel") ? query.get("panel") !== "0" : remembered("panel", false)) showPanel(true);
start().catch((error) => toast(error.message));
