"use strict";
// The page is drawn by the server. This script puts the pieces where they belong, keeps them fresh from the
// stream of changes, and sends what a person does.

const $ = (id) => document.getElementById(id);
const place = { channel: null, thread: null };
const FAILED = {
  dispatch_failed: "The app is not connected: nobody took it.",
  operation_timeout: "The app did not answer within 3 seconds.",
  message_not_found: "That message is gone.",
  not_found: "That dialog is closed already.",
  is_archived: "This channel is archived.",
};

function say(text) {
  $("status").textContent = text;
  $("status").classList.toggle("shown", text !== "");
  clearTimeout(say.timer);
  if (text) say.timer = setTimeout(() => say(""), 8000);
}

async function post(path, body) {
  try {
    const answer = await fetch("/page/" + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(await answer.text());
    const told = await answer.json();
    say(told.outcome === "acked" ? "" : FAILED[told.outcome] || told.outcome);
    return told;
  } catch (error) {
    say("It could not be sent: " + error.message);
    return { outcome: "not sent" };
  }
}

// times, in the reader's zone

function dayName(date, format) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  const pretty = { 0: "today", 1: "yesterday", [-1]: "tomorrow" }[days];
  if (format.endsWith("_pretty}") && pretty) return pretty;
  const long = format.includes("long");
  return date.toLocaleDateString("en", {
    weekday: long ? "long" : undefined,
    month: format.includes("short") ? "short" : "long",
    day: "numeric",
    year: Math.abs(days) > 180 || !format.includes("pretty") ? "numeric" : undefined,
  });
}

function ago(date) {
  const seconds = Math.max(0, (Date.now() - date) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min ago";
  return Math.floor(seconds / 3600) + " h ago";
}

function inWords(date, format) {
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return format.replace(/\{[a-z_]+\}/g, (token) => {
    if (token === "{time}") return date.toLocaleTimeString("en", clock);
    if (token === "{time_secs}") return date.toLocaleTimeString("en", { ...clock, second: "2-digit" });
    if (token === "{ago}") return ago(date);
    if (token === "{date_num}") return date.toLocaleDateString("sv");
    return token.startsWith("{date") ? dayName(date, token) : token;
  });
}

function localTimes(root) {
  for (const time of root.querySelectorAll("time[data-format]")) {
    time.textContent = inWords(new Date(time.dateTime), time.dataset.format);
    if (!time.title || time.title.endsWith("UTC")) time.title = new Date(time.dateTime).toLocaleString();
  }
}

// pieces

function fragment(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  localTimes(holder.content);
  return holder.content;
}

const atEnd = (list) => list.scrollHeight - list.scrollTop - list.clientHeight < 80;

function put(list, html) {
  const item = fragment(html).firstElementChild;
  const old = document.getElementById(item.id);
  const follow = atEnd(list);
  if (old) {
    const focused = old.contains(document.activeElement) && document.activeElement.textContent;
    old.replaceWith(item);
    if (focused) [...item.querySelectorAll("button, a")].find((b) => b.textContent === focused)?.focus();
  } else {
    list.querySelector(".empty")?.remove();
    const later = [...list.children].reverse().find((other) => !other.dataset.ts || other.dataset.ts < item.dataset.ts);
    if (later) later.after(item);
    else list.prepend(item);
    item.classList.add("fresh");
  }
  if (follow) list.scrollTop = list.scrollHeight;
}

async function fill(list, path) {
  const answer = await fetch(path);
  if (!answer.ok) return false;
  list.setAttribute("aria-busy", "true");
  list.replaceChildren(fragment(await answer.text()));
  list.removeAttribute("aria-busy");
  list.scrollTop = list.scrollHeight;
  return true;
}

// where we are

function mark(channel) {
  for (const link of document.querySelectorAll("#sidebar a")) {
    const here = link.getAttribute("href") === "#" + channel;
    link.toggleAttribute("aria-current", here);
    if (here) link.classList.remove("unread");
  }
}

async function go() {
  const parts = decodeURIComponent(location.hash.slice(1)).split("/");
  const links = [...document.querySelectorAll("#channels a")];
  const link = links.find((a) => a.dataset.channel === parts[0]) || links[0];
  const home = parts[0] === "home";
  document.body.classList.remove("menu-open");
  $("menu").setAttribute("aria-expanded", "false");
  $("home").hidden = !home;
  $("messages").hidden = $("composer").hidden = home;
  mark(home ? "home" : link?.dataset.channel);
  if (home) return openHome();
  if (!link) return;
  $("title").textContent = (link.querySelector(".sign").textContent === "#" ? "# " : "") + link.dataset.name;
  if (place.channel !== link.dataset.channel) {
    place.channel = link.dataset.channel;
    await fill($("messages"), "/page/channel/" + place.channel);
  }
  await openThread(parts[1] || null);
}

async function openThread(ts) {
  place.thread = ts;
  $("thread").hidden = ts === null;
  if (ts && !(await fill($("replies"), `/page/thread/${place.channel}/${ts}`))) place.thread = null;
  const open = place.thread !== null;
  $("thread").hidden = !open;
  document.body.classList.toggle("thread-open", open);
  for (const item of document.querySelectorAll("#messages .msg")) {
    item.classList.toggle("chosen", open && item.dataset.ts === ts);
  }
}

async function openHome() {
  $("title").textContent = "App home";
  await openThread(null);
  place.channel = null;
  showViews(await (await fetch("/page/views")).json());
  await post("home", {});
}

// the stream of changes

const hear = {
  message(news) {
    if (news.in_channel) {
      if (news.channel === place.channel) put($("messages"), news.in_channel);
      else if (news.by_app) document.querySelector(`#channels a[data-channel="${news.channel}"]`)?.classList.add("unread");
    }
    if (news.channel === place.channel && news.thread === place.thread) put($("replies"), news.in_thread);
  },
  gone(news) {
    for (const prefix of ["m", "t"]) $(`${prefix}-${news.channel}-${news.ts}`)?.remove();
  },
  channels(news) {
    $("channels").replaceChildren(fragment(news.html));
    mark(place.channel);
  },
  views: showViews,
};

function showViews(news) {
  const dialog = $("modal");
  const open = dialog.querySelector("form")?.dataset.view;
  const typed = open ? values(dialog) : null;
  if (news.modal) {
    dialog.replaceChildren(fragment(news.modal));
    if (dialog.querySelector("form").dataset.view === open) restore(dialog, typed);
    if (!dialog.open) dialog.showModal();
  } else if (dialog.open) {
    dialog.close();
    dialog.replaceChildren();
  }
  $("home").replaceChildren(fragment(news.home));
}

function listen() {
  const stream = new EventSource("/page/stream");
  let lost = false;
  stream.onmessage = (event) => {
    const news = JSON.parse(event.data);
    hear[news.kind](news);
  };
  stream.onopen = async () => {
    $("live").textContent = "Live";
    $("live").classList.remove("lost");
    if (lost && place.channel) {
      lost = false;
      const thread = place.thread;
      await fill($("messages"), "/page/channel/" + place.channel);
      await openThread(thread);
    }
  };
  stream.onerror = () => {
    lost = true;
    $("live").textContent = "Not connected, trying again";
    $("live").classList.add("lost");
  };
}

// what a person does

function choice(element) {
  const action = JSON.parse(element.dataset.action);
  if (element.tagName === "SELECT") {
    const option = element.selectedOptions[0];
    action.selected_option = option?.dataset.option ? JSON.parse(option.dataset.option) : null;
  } else if (element.classList.contains("choices")) {
    const chosen = [...element.querySelectorAll(":checked")].map((input) => JSON.parse(input.dataset.option));
    if (action.type === "radio_buttons") action.selected_option = chosen[0] || null;
    else action.selected_options = chosen;
  } else if (element.tagName !== "BUTTON") {
    action.value = element.value || null;
  }
  return action;
}

function values(root) {
  const found = {};
  for (const element of root.querySelectorAll(".b-input [data-action]")) {
    const { block_id, action_id, ...rest } = choice(element);
    delete rest.text;
    (found[block_id] ||= {})[action_id] = rest;
  }
  return found;
}

function restore(root, typed) {
  for (const element of root.querySelectorAll(".b-input [data-action]")) {
    const { block_id, action_id } = JSON.parse(element.dataset.action);
    const before = typed[block_id]?.[action_id];
    if (before?.value !== undefined && "value" in element) element.value = before.value || "";
    if (before?.selected_option && element.tagName === "SELECT") element.value = before.selected_option.value;
  }
}

async function act(element) {
  if (element.dataset.confirm && !window.confirm(element.dataset.confirm)) return;
  if (element.dataset.url) window.open(element.dataset.url, "_blank", "noopener");
  const message = element.closest(".msg");
  const view = element.closest("[data-view]");
  element.classList.add("busy");
  await post("action", {
    action: choice(element),
    channel: message?.dataset.channel,
    ts: message?.dataset.ts,
    view: view?.dataset.view,
  });
  element.classList.remove("busy");
  if (element.tagName === "SELECT" && message) element.selectedIndex = 0;
}

async function send(box, extra) {
  const text = box.value.trim();
  if (!text || !place.channel) return;
  if (text.startsWith("/") && extra.thread_ts) return say("Slack takes no commands in threads.");
  box.value = "";
  if (!extra.thread_ts) $("messages").scrollTop = $("messages").scrollHeight;
  if (text.startsWith("/")) say("Waiting for the app…");
  await post("send", { channel: place.channel, text, ...extra });
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-thread], [data-close], button[data-action], #menu, #close-thread");
  if (!target) return;
  if (target.dataset.thread) location.hash = `${place.channel}/${target.dataset.thread}`;
  else if (target.dataset.close) post("close", {});
  else if (target.dataset.action) act(target);
  else if (target.id === "close-thread") location.hash = place.channel;
  else {
    const open = document.body.classList.toggle("menu-open");
    target.setAttribute("aria-expanded", String(open));
  }
});

document.addEventListener("change", (event) => {
  const element = event.target.closest("[data-action]");
  if (element && !element.closest(".b-input") && element.tagName !== "BUTTON") act(element);
});

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (event.target.id === "composer") return send($("box"), {});
  if (event.target.id === "reply") return send($("reply-box"), { thread_ts: place.thread });
  const told = await post("submit", { view: event.target.dataset.view, values: values(event.target) });
  for (const shown of event.target.querySelectorAll("[data-error]")) {
    shown.textContent = told.errors?.[shown.dataset.error] || "";
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.closest(".composer textarea")) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
  if (event.key === "Escape" && !$("modal").open && place.thread) location.hash = place.channel;
});

$("modal").addEventListener("cancel", (event) => {
  event.preventDefault();
  post("close", {});
});

window.addEventListener("hashchange", go);
listen();
go();
