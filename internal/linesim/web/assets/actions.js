import { api } from "./api.js";
import { ask, el, toast } from "./dom.js";

// perform does what tapping an action in the app does.
export async function perform(action, phone) {
  const { channel, user } = phone;
  try {
    switch (action.type) {
      case "message": await phone.send({ type: "text", text: action.text }); break;
      case "postback":
        if (user.speaker) await api.raw(channel.id, { type: "postback", source: groupSource(user), postback: { data: action.data } });
        else await api.postback(channel.id, user.id, action.data, action.displayText || action.text);
        if (action.fillInText) phone.fill(action.fillInText);
        break;
      case "uri": open(action.uri); break;
      case "datetimepicker": {
        const picked = await pickTime(action, phone.words);
        if (picked && user.speaker) await api.raw(channel.id, { type: "postback", source: groupSource(user), postback: { data: action.data, params: { [action.mode]: picked } } });
        else if (picked) await api.postback(channel.id, user.id, action.data, "", { [action.mode]: picked });
        break;
      }
      case "clipboard":
        await navigator.clipboard.writeText(action.clipboardText);
        toast("Copied");
        break;
      case "camera": case "cameraRoll": phone.pickPictures(); break;
      case "location": phone.pickPlace(); break;
      default: toast(`The phone does not know the action “${action.type}”.`);
    }
  } catch (error) {
    toast(error.message);
  }
}

// groupSource is who did something in a group or room.
const groupSource = (user) => (user.id.startsWith("C") ? { type: "group", groupId: user.id, userId: user.speaker.id } : { type: "room", roomId: user.id, userId: user.speaker.id });

function open(uri) {
  if (/^https?:/i.test(uri)) window.open(uri, "_blank", "noopener,noreferrer");
  else toast(`The app would open ${uri}`);
}

function pickTime(action, words) {
  const type = { date: "date", time: "time", datetime: "datetime-local" }[action.mode] || "date";
  const plain = (v) => (v || "").replace("t", "T");
  return ask((finish) => {
    const input = el("input", { type, required: true });
    if (action.min) input.min = plain(action.min);
    if (action.max) input.max = plain(action.max);
    if (action.initial) input.value = plain(action.initial);
    return el("form", { onsubmit: (e) => { e.preventDefault(); finish(input.value); } },
      el("label", {}, action.label || "", input),
      el("div", { class: "ends" },
        el("button", { type: "button", class: "button quiet", onclick: () => finish() }, words.cancel),
        el("button", { class: "button" }, words.ok)));
  });
}
