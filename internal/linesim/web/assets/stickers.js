import { svg } from "./dom.js";

// LINE's sticker images cannot be had offline, so three animals stand in.
// The ids are those of LINE's own package 11537, which bots may send.
const moods = ["hello", "joy", "love", "thanks", "ok", "sorry", "cry", "angry", "sleep", "wow", "think", "party"];
const texts = { hello: "Hi!", thanks: "Thank you", ok: "OK", sorry: "Sorry…", sleep: "zzz", wow: "!?", party: "Yay!", love: "♥" };

export const catalogue = moods.map((mood, i) => ({
  packageId: "11537", stickerId: String(52002734 + i), mood, animal: i % 3,
  keywords: { hello: ["hello", "hi"], joy: ["happy", "smile"], love: ["love", "like"], thanks: ["thanks", "thank you"], ok: ["ok", "good"], sorry: ["sorry", "apologize"], cry: ["cry", "sad"], angry: ["angry", "mad"], sleep: ["good night", "sleepy"], wow: ["surprised", "wow"], think: ["hmm", "thinking"], party: ["congratulations", "yay"] }[mood],
}));

const bodies = [
  { fur: "#a8703f", dark: "#7c4e28", face: "#f3dcc0", ears: '<circle cx="27" cy="30" r="13"/><circle cx="93" cy="30" r="13"/>' },
  { fur: "#fdfdfb", dark: "#d5cfc6", face: "#fdfdfb", ears: '<path d="M36 40C28 6 44-4 50 10c4 10 3 22 2 28zM84 40c8-34-8-44-14-30-4 10-3 22-2 28z"/>' },
  { fur: "#ffd84a", dark: "#e2ad1c", face: "#ffd84a", ears: '<path d="M52 22c-3-12 2-17 6-9 1-10 9-11 8 0 6-5 8 1 2 9z"/>' },
];

const eye = (x, y, r = 4.5) => `<ellipse cx="${x}" cy="${y}" rx="${r}" ry="${r * 1.15}" fill="#33261c"/><circle cx="${x + 1.4}" cy="${y - 1.8}" r="1.5" fill="#fff"/>`;
const arc = (d, w = 4) => `<path d="${d}" fill="none" stroke="#33261c" stroke-width="${w}" stroke-linecap="round" stroke-linejoin="round"/>`;
const blush = '<g fill="#ff9d8a" opacity=".6"><ellipse cx="33" cy="70" rx="8" ry="5"/><ellipse cx="87" cy="70" rx="8" ry="5"/></g>';
const heart = (x, y, s, c = "#ff4f7b") => `<path transform="translate(${x} ${y}) scale(${s})" fill="${c}" d="M0 6C-9-4-20 4-13 13L0 25 13 13C20 4 9-4 0 6z"/>`;

const faces = {
  hello: eye(44, 58) + eye(76, 58) + arc("M50 72q10 12 20 0") + blush + arc("M103 62q8-4 5-14M109 66q11-6 7-22", 3),
  joy: arc("M37 60q7-10 14 0M69 60q7-10 14 0") + '<path d="M46 70h28q-2 17-14 17T46 70z" fill="#8f2f2f"/><path d="M52 81q8-6 16 0-3 6-8 6t-8-6z" fill="#ff8b8b"/>' + blush,
  love: heart(43, 48, .75) + heart(77, 48, .75) + arc("M50 74q10 11 20 0") + blush + heart(106, 22, .62, "#ff86a5") + heart(15, 40, .45, "#ff86a5"),
  thanks: arc("M38 60q6 7 12 0M70 60q6 7 12 0") + arc("M52 73q8 8 16 0") + blush,
  ok: eye(44, 58) + arc("M70 59q7-8 13 0") + arc("M49 72q11 12 22 0") + blush,
  sorry: arc("M36 62l13-6M84 62l-13-6") + arc("M47 80q4-5 8 0t8 0 8 0", 3.5) + blush + '<path d="M93 34c6 9 8 13 4 17s-10 0-8-6z" fill="#7cc4f5"/>',
  cry: arc("M38 58q6 6 12 0M70 58q6 6 12 0") + arc("M50 80q10-9 20 0") + '<path d="M40 64c-6 12-7 22-2 25s9-3 6-13zM80 64c6 12 7 22 2 25s-9-3-6-13z" fill="#7cc4f5"/>',
  angry: arc("M36 48l14 7M84 48l-14 7", 5) + eye(45, 62) + eye(75, 62) + arc("M49 81q11-10 22 0") + '<path d="M98 24l4 9M110 28l-9 5M106 41l-5-7M95 36l8-2" stroke="#e23b3b" stroke-width="4" stroke-linecap="round"/>',
  sleep: arc("M36 60q7 6 14 0M70 60q7 6 14 0") + '<ellipse cx="60" cy="77" rx="6" ry="7" fill="#8f4a3f"/>' + blush,
  wow: eye(44, 57, 6.5) + eye(76, 57, 6.5) + '<ellipse cx="60" cy="80" rx="8" ry="10" fill="#8f2f2f"/>',
  think: eye(46, 56) + eye(78, 56) + arc("M53 77q8-4 15 1") + arc("M38 44q6-5 13-2M70 40q7-2 12 3", 3.5),
  party: arc("M37 60q7-10 14 0M69 60q7-10 14 0") + '<path d="M46 70h28q-2 17-14 17T46 70z" fill="#8f2f2f"/>' + blush + '<path d="M44 24 60-6 76 24q-16 7-32 0z" fill="#3f8ef0"/><circle cx="60" cy="-6" r="6" fill="#ffe04a"/><g><circle cx="14" cy="22" r="4" fill="#ff6b8b"/><circle cx="108" cy="14" r="4" fill="#40c97a"/><path d="m18 52 8 3M100 44l9-4" stroke="#f5a623" stroke-width="4" stroke-linecap="round"/></g>',
};

export function drawSticker(packageId, stickerId) {
  let found = catalogue.find((s) => s.stickerId === stickerId);
  if (!found) {
    // Unknown ids always look the same, so that two of them can be told apart.
    let n = 7;
    for (const c of `${packageId}/${stickerId}`) n = (n * 31 + c.charCodeAt(0)) >>> 0;
    found = { mood: moods[n % moods.length], animal: (n >>> 5) % 3 };
  }
  const b = bodies[found.animal];
  const nose = found.animal === 2 ? '<path d="M54 64h12l-6 6z" fill="#f08a24"/>' : `<ellipse cx="60" cy="65" rx="5" ry="3.6" fill="${b.dark}"/>`;
  const word = texts[found.mood] ? `<text x="60" y="124" text-anchor="middle" font-family="system-ui,sans-serif" font-size="17" font-weight="800" fill="#3b4652" stroke="#fff" stroke-width="5" paint-order="stroke" stroke-linejoin="round">${texts[found.mood]}</text>` : "";
  return svg(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="-6 -14 132 146"><g fill="${b.fur}" stroke="${b.dark}" stroke-width="2.6">${b.ears}<ellipse cx="60" cy="62" rx="48" ry="43"/></g><ellipse cx="60" cy="73" rx="27" ry="21" fill="${b.face}"/>${nose}${faces[found.mood]}${word}</svg>`);
}
