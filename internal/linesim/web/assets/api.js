// What the page asks of the simulator's control API (README.md).

async function request(method, path, body) {
  const init = { method };
  if (body instanceof FormData) init.body = body;
  else if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  const res = await fetch("_control" + path, init);
  const answer = await res.json();
  if (!res.ok) throw new Error(answer.error || res.statusText);
  return answer;
}

const chatPath = (channel, user) => `/channels/${encodeURIComponent(channel)}/users/${encodeURIComponent(user)}`;
const groupPath = (channel, group) => `/channels/${encodeURIComponent(channel)}/groups/${encodeURIComponent(group)}`;

export const api = {
  channels: () => request("GET", "/channels"),
  users: () => request("GET", "/users"),
  chats: () => request("GET", "/chats"),
  addUser: (user) => request("POST", "/users", user),
  blocked: (channel) => request("GET", `/channels/${encodeURIComponent(channel)}/blocked`),
  consumption: (channel) => request("GET", `/channels/${encodeURIComponent(channel)}/consumption`),
  calls: (channel) => request("GET", `/calls?limit=150&channel_id=${encodeURIComponent(channel)}`),
  deliveries: (channel) => request("GET", `/deliveries?limit=150&channel_id=${encodeURIComponent(channel)}`),
  chat: (channel, user) => request("GET", `${chatPath(channel, user)}/chat?limit=300`),
  send: (channel, user, message, content, preview) => {
    const path = `${chatPath(channel, user)}/messages`;
    if (!content) return request("POST", path, message);
    const form = new FormData();
    form.append("message", JSON.stringify(message));
    form.append("content", content, content.name || "file");
    if (preview) form.append("preview", preview, "preview.jpg");
    return request("POST", path, form);
  },
  postback: (channel, user, data, displayText, params) =>
    request("POST", `${chatPath(channel, user)}/postback`, { data, display_text: displayText || "", params: params || {} }),
  edit: (channel, user, message, text) => request("POST", `${chatPath(channel, user)}/messages/${message}/edit`, { text }),
  beacon: (channel, user, type) => request("POST", `${chatPath(channel, user)}/beacon`, { type, hwid: "a41c8d7e2f" }),
  videoPlayed: (channel, user, id) => request("POST", `${chatPath(channel, user)}/video-played`, { tracking_id: id }),
  membership: (channel, user, type) => request("POST", `${chatPath(channel, user)}/membership`, { type, membership_id: 3189 }),
  accountLink: (channel, user, ok) => request("POST", `${chatPath(channel, user)}/account-link`, { nonce: "phone-page-nonce", ok }),
  suspension: (channel, suspended) => request("POST", `/channels/${encodeURIComponent(channel)}/suspension`, { suspended }),
  richMenu: (channel, user) => request("GET", `${chatPath(channel, user)}/rich-menu`),
  tapRichMenu: (channel, user, area) => request("POST", `${chatPath(channel, user)}/rich-menu/tap`, { area }),
  raw: (channel, event) => request("POST", `/channels/${encodeURIComponent(channel)}/events`, event),
  invite: (channel, group, users) => request("POST", `${groupPath(channel, group)}/invite`, { user_ids: users }),
  expel: (channel, group) => request("POST", `${groupPath(channel, group)}/expel`),
  joined: (channel, group, users) => request("POST", `${groupPath(channel, group)}/joined`, { user_ids: users }),
  left: (channel, group, users) => request("POST", `${groupPath(channel, group)}/left`, { user_ids: users }),
  follow: (channel, user) => request("POST", `${chatPath(channel, user)}/follow`),
  unfollow: (channel, user) => request("POST", `${chatPath(channel, user)}/unfollow`),
  unsend: (channel, user, message) => request("POST", `${chatPath(channel, user)}/messages/${message}/unsend`),
};

export const avatarURL = (id, own) => own || `_media/avatars/${id}.svg`;
export const richMenuURL = (channel, menu) => `_control/channels/${encodeURIComponent(channel)}/rich-menus/${encodeURIComponent(menu)}/image`;
export const mediaURL = (id, part = "") => `_control/media/${id}${part}`;

// listen follows the simulator's events; the browser reconnects by itself and
// everything is loaded again then, since anything may have been missed.
export function listen(on, state) {
  const source = new EventSource("_control/stream");
  let first = true;
  source.addEventListener("hello", () => {
    state(true);
    if (!first) on.reload();
    first = false;
  });
  source.addEventListener("error", () => state(false));
  for (const kind of Object.keys(on)) source.addEventListener(kind, (e) => on[kind](JSON.parse(e.data)));
}
