import { api } from "./api.js";
import { ask, el } from "./dom.js";

const hex = (n) => [...crypto.getRandomValues(new Uint8Array(n))].map((b) => b.toString(16).padStart(2, "0")).join("");

// happenings is what a customer can cause beside writing, one button each.
export async function happenings(phone) {
  const { channel, user } = phone;
  const raw = (event) => api.raw(channel.id, { source: { type: "user", userId: user.id }, ...event });
  const list = [
    ["Comes near a beacon", () => api.beacon(channel.id, user.id, "enter")],
    ["Taps a beacon's banner", () => api.beacon(channel.id, user.id, "banner")],
    ["Stays near a beacon", () => api.beacon(channel.id, user.id, "stay")],
    ["Watches the last video to its end", () => api.videoPlayed(channel.id, user.id, [...phone.messages.values()].findLast((m) => m.body?.trackingId)?.body.trackingId ?? "video-1")],
    ["Joins the membership", () => api.membership(channel.id, user.id, "joined")],
    ["Renews the membership", () => api.membership(channel.id, user.id, "renewed")],
    ["Leaves the membership", () => api.membership(channel.id, user.id, "left")],
    ["Links their account", () => api.accountLink(channel.id, user.id, true)],
    ["Fails to link their account", () => api.accountLink(channel.id, user.id, false)],
    ["Switches the rich menu", () => api.postback(channel.id, user.id, "menu", "", { newRichMenuAliasId: "second", status: "SUCCESS" })],
    ["Sends a type of message LINE has added", () => raw({ type: "message", message: { id: String(Date.now()), type: "hologram", depth: 3 } })],
    ["Does something LINE has added", () => raw({ type: "teleport", teleport: { to: "osaka" } })],
    ["Another system takes the chat", () => raw({ type: "deactivated", mode: "standby" })],
    ["The chat comes back from it", () => raw({ type: "activated", chatControl: { expireAt: Date.now() + 3600000 } })],
    ["A notification message arrives", () => raw({ type: "delivery", delivery: { data: hex(32) } })],
    ["LINE suspends the account", () => api.suspension(channel.id, true)],
    ["LINE lets the account go on", () => api.suspension(channel.id, false)],
    ["A module channel is attached", () => api.raw(channel.id, { type: "module", module: { type: "attached", botId: channel.bot_user_id, scopes: ["message:send"] } })],
    ["A module channel is detached", () => api.raw(channel.id, { type: "module", module: { type: "detached", botId: channel.bot_user_id, reason: "bot_deleted" } })],
    ["Invites the account into a group", () => invite(phone, "C")],
    ["Invites the account into a room", () => invite(phone, "R")],
  ];
  const run = await choose("What happens", list);
  if (run) await phone.try(run());
}

// groupHappenings is the same for a group or room.
export async function groupHappenings(phone) {
  const { channel, user } = phone;
  const list = [
    ["Somebody joins", async () => { const fresh = await api.addUser({ display_name: `Guest ${hex(1)}` }); return api.joined(channel.id, user.id, [fresh.id]); }],
    [`${user.speaker.display_name} leaves`, () => api.left(channel.id, user.id, [user.speaker.id])],
    ["The account is removed", () => api.expel(channel.id, user.id)],
    ["The account is invited again", () => api.invite(channel.id, user.id, [user.speaker.id])],
  ];
  const run = await choose("What happens in the group", list);
  if (run) await phone.try(run());
}

async function invite(phone, letter) {
  const id = letter + hex(16);
  await api.invite(phone.channel.id, id, [phone.user.id]);
  document.dispatchEvent(new CustomEvent("group", { detail: { id, display_name: `${phone.user.display_name}, in a ${letter === "C" ? "group" : "room"}`, language: phone.user.language, speaker: phone.user } }));
}

// reword asks for the new words of a text; nothing when it is left as it was.
export function reword(text, words) {
  return ask((finish) => {
    const input = el("textarea", { rows: 3, maxLength: 5000, required: true, value: text, "aria-label": words.message });
    return el("form", { onsubmit: (e) => { e.preventDefault(); finish(input.value.trim()); } }, input,
      el("div", { class: "ends" }, el("button", { type: "button", class: "button quiet", onclick: () => finish() }, words.cancel), el("button", { class: "button" }, words.ok)));
  });
}

function choose(title, list) {
  return ask((finish) => el("div", { class: "body" }, el("h2", {}, title),
    el("div", { class: "choices" }, list.map(([label, run]) => el("button", { type: "button", onclick: () => finish(run) }, el("span", {}, label))))));
}
