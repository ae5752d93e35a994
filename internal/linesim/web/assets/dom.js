// el builds elements; text always goes in as text, never as markup.
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "style") Object.assign(node.style, value);
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && key !== "list" && !key.startsWith("aria")) node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c !== undefined && c !== null && c !== false));
  return node;
}

// svg parses markup that this page's own files contain.
export function svg(markup) {
  const doc = new DOMParser().parseFromString(markup, "image/svg+xml");
  const node = document.importNode(doc.documentElement, true);
  node.setAttribute("aria-hidden", "true");
  return node;
}

const paths = {
  plus: "M12 5v14M5 12h14",
  close: "m6 6 12 12M18 6 6 18",
  menu: "M4 7h16M4 12h16M4 17h16",
  smile: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8.5 14.5a4.5 4.5 0 0 0 7 0M9 10v.01M15 10v.01",
  photo: "M4 6.5A1.5 1.5 0 0 1 5.5 5h13A1.5 1.5 0 0 1 20 6.5v11a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17.5zM4 16l4.5-4.5 4 4 3-3L20 17M15.5 9.5v.01",
  camera: "M4 8.5A1.5 1.5 0 0 1 5.5 7H8l1.5-2h5L16 7h2.5A1.5 1.5 0 0 1 20 8.5v9a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17.5zM12 16a3.3 3.3 0 1 0 0-6.6 3.3 3.3 0 0 0 0 6.6z",
  film: "M4 7.5A1.5 1.5 0 0 1 5.5 6h9A1.5 1.5 0 0 1 16 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 4 16.5zM16 10.5l4-2.5v8l-4-2.5",
  sound: "M5 10v4M8.5 7v10M12 4.5v15M15.5 8v8M19 10.5v3",
  file: "M7 3.5h6.5L18 8v11a1.5 1.5 0 0 1-1.5 1.5h-9.5A1.5 1.5 0 0 1 5.5 19V5A1.5 1.5 0 0 1 7 3.5zM13 4v4.5h4.5",
  pin: "M12 21s-6.5-5.7-6.5-11a6.5 6.5 0 0 1 13 0c0 5.3-6.5 11-6.5 11zM12 12.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  calendar: "M5 6.5A1.5 1.5 0 0 1 6.5 5h11A1.5 1.5 0 0 1 19 6.5v11a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 5 17.5zM5 10h14M9 3v4M15 3v4",
  undo: "M8 6 4 10l4 4M4.5 10H14a5 5 0 0 1 0 10h-3",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  reply: "M10 7 5 12l5 5M5.5 12H13c3.5 0 6 2 6 5.5",
  block: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM5.8 5.8l12.4 12.4",
  hide: "M4 12h16",
  send: "",
};

export function icon(name) {
  if (name === "send") return svg('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M3.4 20.3 21.6 12 3.4 3.7l-.01 6.5L15 12 3.39 13.8z"/></svg>');
  return svg(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="${paths[name]}"/></svg>`);
}

export function iconButton(name, label, onclick, cls = "") {
  return el("button", { type: "button", class: `icon-button ${cls}`, "aria-label": label, title: label, onclick }, icon(name));
}

let toastTimer;
export function toast(text) {
  document.querySelector(".toast")?.remove();
  clearTimeout(toastTimer);
  const node = el("div", { class: "toast", role: "status" }, text);
  document.body.append(node);
  toastTimer = setTimeout(() => node.remove(), 4200);
}

// ask opens a dialog and resolves with what finish was given, or undefined.
export function ask(build, cls = "") {
  return new Promise((resolve) => {
    const dialog = el("dialog", { class: cls });
    let result;
    const finish = (value) => { result = value; dialog.close(); };
    dialog.append(build(finish));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(result); });
    dialog.addEventListener("click", (e) => { if (e.target === dialog) dialog.close(); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
