import { api, richMenuURL } from "./api.js";
import { el } from "./dom.js";
import { perform } from "./actions.js";

// RichMenu is what stands below the chat: a bar that opens and closes it, and an
// image with areas. Groups have none.
export class RichMenu {
  constructor(phone) {
    this.phone = phone;
    this.node = el("div", { class: "rich", hidden: true });
  }

  async load() {
    const { channel, user } = this.phone;
    if (user.speaker) return;
    const { menu } = await api.richMenu(channel.id, user.id);
    const another = menu?.richMenuId !== this.menu?.richMenuId;
    this.menu = menu;
    if (menu && another) this.open = menu.selected;
    this.draw();
  }

  draw() {
    const { menu, phone } = this;
    this.node.hidden = !menu || phone.blocked;
    if (this.node.hidden) return;
    const map = el("div", { class: "map", hidden: !this.open },
      el("img", { src: richMenuURL(phone.channel.id, menu.richMenuId), alt: "", onload: phone.settle }),
      menu.areas.map((area, i) => this.area(area, i)));
    const bar = el("button", { type: "button", class: "chat-bar", "aria-expanded": String(this.open), onclick: () => this.toggle() }, menu.chatBarText, el("span", { "aria-hidden": "true" }, this.open ? " ▾" : " ▴"));
    this.node.replaceChildren(bar, map);
    phone.settle();
  }

  toggle() {
    this.open = !this.open;
    this.draw();
    this.node.querySelector(".chat-bar").focus();
  }

  area({ bounds, action }, i) {
    const { width, height } = this.menu.size;
    const label = action.label || action.displayText || action.text || action.uri || action.data || action.type;
    const button = el("button", { type: "button", "aria-label": label, title: label, onclick: () => this.tap(action, i) });
    for (const [side, part, whole] of [["left", bounds.x, width], ["top", bounds.y, height], ["width", bounds.width, width], ["height", bounds.height, height]]) button.style[side] = `${(100 * part) / whole}%`;
    return button;
  }

  // What changes something at LINE the simulator does; the rest is the app's.
  tap(action, i) {
    const { phone } = this;
    if (!["message", "postback", "richmenuswitch"].includes(action.type)) return perform(action, phone);
    phone.atEnd = true;
    if (action.fillInText) phone.fill(action.fillInText);
    return phone.try(api.tapRichMenu(phone.channel.id, phone.user.id, i));
  }
}
