import { api, avatarURL } from "./api.js";
import { ask, el, icon, iconButton, svg, toast } from "./dom.js";
import { groupHappenings, happenings, reword } from "./happenings.js";
import { content, quickReplies, summary, wide } from "./messages.js";
import { RichMenu } from "./richmenu.js";
import { catalogue, drawSticker } from "./stickers.js";
import { clockOf, dayOf, wordsFor } from "./words.js";

const statusIcons = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 56 12"><path d="M0 8h2.500v3H0zM4 6h2.500v5H4zM8 3.500h2.500V11H8zM12 1h2.500v10H12z"/><path d="M25 2.200c2.100 0 4 .8 5.400 2.200l-1.200 1.300A6 6 0 0 0 25 4a6 6 0 0 0-4.200 1.700l-1.200-1.300A7.600 7.600 0 0 1 25 2.200zm0 3.600c1.100 0 2.100.4 2.900 1.200L25 10.200 22.100 7c.8-.8 1.800-1.200 2.900-1.200z"/><rect x="36.500" y="1.500" width="16" height="9" rx="2.600" fill="none" stroke="currentColor" opacity=".5"/><rect x="38" y="3" width="11.500" height="6" rx="1.400"/><path d="M54 4.500v3c1.200-.4 1.200-2.600 0-3z" opacity=".5"/></svg>';
const shield = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 15 17"><path d="M7.500 0 15 2.600v5.600c0 4-3.100 7.300-7.500 8.800C3.100 15.500 0 12.200 0 8.200V2.600z" fill="#06c755"/><path d="m7.500 3.800 1.300 2.700 3 .4-2.200 2.100.5 3-2.600-1.400L4.900 12l.5-3-2.200-2.100 3-.4z" fill="#fff"/></svg>';

const places = [
  { title: "東京駅", address: "東京都千代田区丸の内1丁目", latitude: 35.681236, longitude: 139.767125 },
  { title: "สยามพารากอน", address: "991 ถนนพระรามที่ 1 ปทุมวัน กรุงเทพฯ", latitude: 13.746, longitude: 100.5347 },
  { title: "台北101", address: "台北市信義區信義路五段7號", latitude: 25.033964, longitude: 121.564468 },
  { title: "Rådhuspladsen", address: "1550 København", latitude: 55.676098, longitude: 12.568337 },
];

// Phone is one customer's phone, open on the chat with one account; or on a group
// with the account in it, whose speaker the customer is.
export class Phone {
  constructor(user, channel, hide) {
    this.user = user;
    this.speaker = user.speaker ?? user;
    this.where = !user.speaker ? {} : user.id.startsWith("C") ? { group_id: user.id } : { room_id: user.id };
    this.channel = channel;
    this.words = wordsFor(user.language);
    this.lang = user.language || "en";
    this.messages = new Map();
    this.quickDone = "";
    this.blocked = false;
    this.settle = () => { if (this.atEnd) this.toEnd(); };
    this.atEnd = true;
    this.build(hide);
  }

  build(hide) {
    const { user, words } = this;
    this.title = el("span", {}, this.channel.display_name);
    this.log = el("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": `${words.chat} ${this.channel.display_name}`, tabIndex: 0 });
    this.log.addEventListener("scroll", () => { this.atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 60; }, { passive: true });
    this.quick = el("div", { class: "quick", role: "group", hidden: true });
    this.composer = el("div", { class: "composer" });
    this.rich = new RichMenu(this);
    this.time = el("span");
    this.screen = el("div", { class: "screen", lang: this.lang },
      el("div", { class: "status", "aria-hidden": "true" }, this.time, svg(statusIcons)),
      el("div", { class: "bar" }, el("h2", {}, this.title, svg(shield)), iconButton("menu", words.menu, (e) => this.openMenu(e.currentTarget))),
      this.log, this.quick, this.composer, this.rich.node);
    this.note = el("small", {}, this.lang);
    this.node = el("article", { class: "phone", "aria-label": user.display_name },
      el("div", { class: "who" }, el("img", { src: avatarURL(user.id, user.picture_url), alt: "" }), el("div", {}, el("b", { lang: this.lang }, user.display_name), this.note), iconButton("close", words.hide, hide)),
      el("div", { class: "case" }, this.screen));
    this.hide = hide;
    this.buildComposer();
    this.tick();
  }

  tick() { this.time.textContent = new Intl.DateTimeFormat("en", { hour: "numeric", minute: "2-digit", hourCycle: "h23" }).format(new Date()); }

  buildComposer() {
    const { words } = this;
    this.quote = null;
    if (this.blocked) {
      this.composer.replaceChildren(el("div", { class: "refused" }, el("p", {}, words.blocked), el("button", { type: "button", class: "button", onclick: () => this.try(api.follow(this.channel.id, this.user.id)) }, words.unblock)));
      return;
    }
    this.input = el("textarea", { rows: 1, placeholder: words.message, "aria-label": words.message, enterKeyHint: "send", maxLength: 5000 });
    this.input.addEventListener("input", () => this.grow());
    this.input.addEventListener("keydown", (e) => {
      // Enter that picks a candidate belongs to the input method. keyCode 229
      // is how Safari says so, whose composition has ended by then.
      if (e.key !== "Enter" || e.shiftKey || e.isComposing || e.keyCode === 229) return;
      e.preventDefault();
      this.sendText();
    });
    this.sendButton = iconButton("send", words.send, () => this.sendText(), "send");
    this.more = iconButton("plus", words.more, () => this.toggle("tray"));
    this.quoting = el("div", { class: "quoting", hidden: true });
    this.drawer = el("div");
    this.pictures = iconButton("photo", words.photo, () => this.pickPictures());
    this.composer.replaceChildren(this.quoting,
      el("div", { class: "line" }, this.more, this.pictures,
        el("div", { class: "field" }, this.input, iconButton("smile", words.stickers, () => this.toggle("stickers"))), this.sendButton),
      this.drawer);
    this.grow();
  }

  grow() {
    this.input.style.height = "38px";
    this.input.style.height = `${Math.max(38, Math.min(118, this.input.scrollHeight))}px`;
    this.sendButton.hidden = this.input.value.trim() === "";
    this.settle();
  }

  toggle(kind) {
    const open = this.drawer.dataset.kind === kind;
    this.drawer.replaceChildren();
    this.drawer.dataset.kind = open ? "" : kind;
    if (open) return;
    const { words } = this;
    if (kind === "stickers") {
      this.drawer.append(el("div", { class: "stickers" }, catalogue.map((s) =>
        el("button", { type: "button", "aria-label": `${words.sticker} ${s.keywords[0]}`, title: s.keywords[0], onclick: () => this.send({ type: "sticker", package_id: s.packageId, sticker_id: s.stickerId, keywords: s.keywords }) }, drawSticker(s.packageId, s.stickerId)))));
    } else {
      const item = (name, label, run) => el("button", { type: "button", onclick: run }, icon(name), label);
      this.drawer.append(el("div", { class: "tray" },
        item("photo", words.photo, () => this.pickPictures()), item("film", words.video, () => this.pickFile("video")),
        item("sound", words.voice, () => this.pickFile("audio")), item("file", words.file, () => this.pickFile("file")), item("pin", words.location, () => this.pickPlace())));
    }
    this.toEnd();
  }

  async try(promise) {
    try { return await promise; } catch (error) { toast(error.message); return undefined; }
  }

  send(message, blob, preview) {
    if (this.quote && (message.type === "text" || message.type === "sticker")) message.quoted_message_id = this.quote;
    this.quoteMessage(null);
    this.atEnd = true;
    return this.try(api.send(this.channel.id, this.speaker.id, { ...message, ...this.where }, blob, preview));
  }

  async sendText() {
    const text = this.input.value.trim();
    if (!text) return;
    this.input.value = "";
    this.grow();
    if (await this.send({ type: "text", text }) === undefined && this.input && !this.input.value) this.fill(text);
  }

  fill(text) {
    if (!this.input) return;
    this.input.value = text;
    this.grow();
    this.input.focus();
  }

  choose(accept, multiple) {
    return new Promise((resolve) => {
      const input = el("input", { type: "file", accept, multiple });
      input.addEventListener("change", () => resolve([...input.files]));
      input.click();
    });
  }

  async pickPictures() {
    const files = await this.choose("image/*", true);
    const set = files.length > 1 ? `${Date.now()}${Math.floor(Math.random() * 1e6)}` : "";
    for (const [i, file] of files.entries()) {
      const part = set ? { image_set_id: set, image_set_index: i + 1, image_set_total: files.length } : {};
      await this.send({ type: "image", content_type: file.type, file_name: file.name, ...part }, file);
    }
  }

  async pickFile(kind) {
    const [file] = await this.choose(kind === "file" ? "" : `${kind}/*`, false);
    if (!file) return;
    const message = { type: kind, content_type: file.type, file_name: file.name };
    let preview;
    if (kind !== "file") {
      const seen = await lookAt(file, kind);
      message.duration_ms = seen.duration;
      preview = seen.preview;
    }
    this.send(message, file, preview);
  }

  async pickPlace() {
    const place = await ask((finish) => el("div", { class: "body" }, el("h2", {}, this.words.location),
      el("div", { class: "choices" }, places.map((p) => el("button", { type: "button", onclick: () => finish(p) }, el("span", {}, p.title, el("small", {}, p.address)))))));
    if (place) this.send({ type: "location", ...place });
  }

  openMenu(anchor) {
    const { words } = this;
    if (this.user.speaker) {
      this.menu(anchor, [["more", words.events, () => groupHappenings(this)], ["hide", words.hide, this.hide]]);
      return;
    }
    this.menu(anchor, [
      ["more", words.events, () => happenings(this)],
      this.blocked ? ["undo", words.unblock, () => this.try(api.follow(this.channel.id, this.user.id))]
        : ["block", words.block, () => this.try(api.unfollow(this.channel.id, this.user.id)), "danger"],
      ["hide", words.hide, this.hide],
    ]);
  }

  openMessageMenu(id, anchor) {
    const m = this.messages.get(id);
    if (!m || m.unsent) return;
    const { words } = this;
    const items = [];
    if (m.body.text) items.push(["copy", words.copy, () => this.try(navigator.clipboard.writeText(m.body.text))]);
    if (m.quote_token && !this.blocked) items.push(["reply", words.reply, () => this.quoteMessage(id)]);
    const own = m.direction === "customer" && m.user_id === this.speaker.id;
    if (own && m.type === "text" && this.user.speaker) items.push(["edit", words.edit, () => this.edit(id)]);
    if (own) items.push(["undo", words.unsend, () => this.try(api.unsend(this.channel.id, this.speaker.id, id)), "danger"]);
    if (items.length) this.menu(anchor, items);
  }

  menu(anchor, items) {
    this.screen.querySelector(".menu")?.remove();
    const close = () => { node.remove(); document.removeEventListener("pointerdown", outside, true); };
    const outside = (e) => { if (!node.contains(e.target)) close(); };
    const node = el("div", { class: "menu", role: "menu" }, items.map(([name, label, run, cls]) =>
      el("button", { type: "button", role: "menuitem", class: cls || "", onclick: () => { close(); run(); } }, label)));
    node.addEventListener("keydown", (e) => {
      const all = [...node.children];
      const i = all.indexOf(document.activeElement);
      if (e.key === "Escape") { close(); anchor.focus(); }
      if (e.key === "ArrowDown") all[(i + 1) % all.length].focus();
      if (e.key === "ArrowUp") all[(i + all.length - 1) % all.length].focus();
    });
    this.screen.append(node);
    const s = this.screen.getBoundingClientRect(), a = anchor.getBoundingClientRect();
    const fits = (v, max) => Math.max(8, Math.min(v, max));
    node.style.left = `${fits(a.right - s.left - node.offsetWidth, s.width - node.offsetWidth - 8)}px`;
    const below = a.bottom - s.top + 4;
    node.style.top = `${fits(below + node.offsetHeight > s.height - 8 ? a.top - s.top - node.offsetHeight - 4 : below, s.height - node.offsetHeight - 8)}px`;
    node.firstChild.focus();
    document.addEventListener("pointerdown", outside, true);
  }

  quoteMessage(id) {
    if (!this.quoting) return;
    this.quote = id;
    this.quoting.hidden = !id;
    if (!id) return;
    const m = this.messages.get(id);
    this.quoting.replaceChildren(el("div", {}, el("b", {}, m.direction === "customer" ? this.user.display_name : this.channel.display_name), el("p", {}, summary(m, this))), iconButton("close", this.words.cancel, () => this.quoteMessage(null)));
    this.input.focus();
  }

  async load() {
    const [messages, blocked] = await Promise.all([api.chat(this.channel.id, this.user.id), api.blocked(this.channel.id)]);
    this.messages = new Map(messages.map((m) => [m.id, m]));
    this.setBlocked(blocked.includes(this.user.id));
    this.draw();
    await this.rich.load();
  }

  setBlocked(blocked) {
    this.note.textContent = blocked ? `${this.lang} · ${this.words.block}` : this.lang;
    if (blocked === this.blocked) return;
    this.blocked = blocked;
    this.buildComposer();
    this.rich.draw();
  }

  draw() {
    this.log.replaceChildren();
    this.last = null;
    for (const m of this.messages.values()) this.append(m, false);
    this.drawQuick();
    this.atEnd = true;
    this.toEnd();
  }

  add(m) {
    if (this.messages.has(m.id)) return;
    if (m.direction === "account") this.stopTyping();
    this.messages.set(m.id, m);
    this.append(m, true);
    if (this.typing) this.log.append(this.typing);
    this.drawQuick();
    if (m.direction === "customer" || this.atEnd) this.toEnd();
  }

  append(m, fresh) {
    const at = new Date(m.at);
    const day = at.toDateString();
    if (!this.last || this.last.day !== day) {
      this.log.append(el("div", { class: "day" }, dayOf(at, this.lang)));
      this.last = null;
    }
    const sender = m.direction === "customer" ? m.user_id : `account|${m.body.sender?.name || ""}|${m.body.sender?.iconUrl || ""}`;
    const minute = clockOf(at, this.lang);
    const node = m.unsent ? el("div", { class: "notice" }, this.words.unsentOwn) : this.turn(m, sender, minute);
    node.dataset.id = m.id;
    if (fresh) node.classList.add("fresh");
    this.log.append(node);
    this.last = { day, sender: m.unsent ? "" : sender };
  }

  turn(m, sender, minute) {
    const own = m.direction === "customer";
    const first = this.last?.sender !== sender;
    const body = content(m, this);
    body.dataset.own = own ? "1" : "";
    if (!body.matches("button, a")) body.tabIndex = -1;
    if (own) body.tabIndex = 0;
    this.pressable(body, m.id);
    const stamp = el("div", { class: "stamp" }, own && m.read && el("span", { class: "seen" }, this.words.read), el("time", { dateTime: m.at }, minute));
    const name = m.body.sender?.name || this.channel.display_name;
    const face = !own && el("img", { class: "face", src: m.body.sender?.iconUrl || avatarURL(this.channel.bot_user_id, this.channel.picture_url), alt: "" });
    const column = el("div", { class: "column" }, !own && el("div", { class: "name" }, name),
      wide(m) ? [body, stamp] : el("div", { class: "beside" }, body, stamp));
    return el("div", { class: `turn ${own ? "mine" : "theirs"}${first ? " first" : ""}` }, face, column);
  }

  // A long press, a right click or the menu key open the message's menu.
  pressable(node, id) {
    let timer;
    const open = (e) => { e?.preventDefault(); this.openMessageMenu(id, node); };
    node.addEventListener("contextmenu", open);
    node.addEventListener("pointerdown", (e) => { if (e.pointerType !== "mouse") timer = setTimeout(open, 500); });
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) node.addEventListener(end, () => clearTimeout(timer));
    node.addEventListener("keydown", (e) => { if (e.target === node && e.key === "Enter" && !node.matches("button, a")) open(e); });
  }

  // Quick replies belong to the newest message and go with the next one.
  drawQuick() {
    const last = [...this.messages.values()].at(-1);
    const items = last?.direction === "account" && last.id !== this.quickDone ? last.body.quickReply?.items : null;
    this.quick.hidden = !items || this.blocked;
    this.quick.replaceChildren(...(items ? quickReplies(items, this, (action) => {
      if (["camera", "cameraRoll", "location", "datetimepicker", "uri"].includes(action.type)) return;
      this.quickDone = last.id;
      this.drawQuick();
    }) : []));
  }

  async edit(id) {
    const text = await reword(this.messages.get(id).body.text, this.words);
    if (text) await this.try(api.edit(this.channel.id, this.speaker.id, id, text));
  }

  edited(id, text) {
    const m = this.messages.get(id);
    if (m) this.change(id, { ...m, body: { ...m.body, text } });
  }

  unsend(id) {
    const m = this.messages.get(id);
    if (m) this.change(id, { ...m, unsent: true, body: {} });
  }

  change(id, m) {
    this.messages.set(id, m);
    const atEnd = this.atEnd, top = this.log.scrollTop;
    this.draw();
    if (!atEnd) this.log.scrollTop = top;
  }

  read(id) {
    for (const m of this.messages.values()) {
      if (m.direction !== "customer" || m.read || BigInt(m.id) > BigInt(id)) continue;
      m.read = true;
      const stamp = this.log.querySelector(`[data-id="${m.id}"] .stamp`);
      if (stamp && !stamp.querySelector(".seen")) stamp.prepend(el("span", { class: "seen" }, this.words.read));
    }
  }

  startTyping(seconds) {
    this.stopTyping();
    this.typing = el("div", { class: "turn theirs first fresh", role: "status", "aria-label": `${this.channel.display_name} ${this.words.typing}` },
      el("img", { class: "face", src: avatarURL(this.channel.bot_user_id, this.channel.picture_url), alt: "" }), el("div", { class: "column" }, el("div", { class: "bubble dots" }, el("i"), el("i"), el("i"))));
    this.log.append(this.typing);
    this.typingTimer = setTimeout(() => this.stopTyping(), seconds * 1000);
    this.settle();
  }

  stopTyping() {
    clearTimeout(this.typingTimer);
    this.typing?.remove();
    this.typing = null;
  }

  toEnd() { this.log.scrollTop = this.log.scrollHeight; }
}

// lookAt finds the length of a film or sound and, of a film, a picture.
function lookAt(file, kind) {
  return new Promise((resolve) => {
    const media = document.createElement(kind);
    const url = URL.createObjectURL(file);
    const done = (preview) => {
      URL.revokeObjectURL(url);
      resolve({ duration: Number.isFinite(media.duration) ? Math.round(media.duration * 1000) : 0, preview });
    };
    media.muted = true;
    media.preload = "auto";
    media.onerror = () => done();
    if (kind === "audio") media.onloadedmetadata = () => done();
    else {
      media.onloadeddata = () => { media.currentTime = Math.min(1, media.duration / 2 || 0); };
      media.onseeked = () => {
        const canvas = el("canvas", { width: 320, height: Math.round((320 * media.videoHeight) / media.videoWidth) || 180 });
        canvas.getContext("2d").drawImage(media, 0, 0, canvas.width, canvas.height);
        canvas.toBlob((blob) => done(blob), "image/jpeg", 0.8);
      };
    }
    media.src = url;
  });
}
