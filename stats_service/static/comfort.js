// What every page has when JavaScript is on: times in the reader's zone, copying, keys, and links and forms that replace
// the content in place instead of loading a whole page. Without it the same links and forms do the same, page by page.
"use strict";

const app = {};

{
  const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
  const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
  const second = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });

  const two = (large, largeUnit, small, smallUnit) => small ? `${large} ${largeUnit} ${small} ${smallUnit}` : `${large} ${largeUnit}`;

  function span(ms) {
    const seconds = Math.max(0, Math.floor(ms / SECOND));
    if (seconds < 60) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 24) return two(hours, "h", minutes % 60, "min");
    const days = Math.floor(hours / 24);
    return two(days, "d", days < 14 ? hours % 24 : 0, "h");
  }

  function ago(ms) {
    if (ms < 10 * SECOND) return "just now";
    const [size, unit] = ms >= DAY ? [DAY, "d"] : ms >= HOUR ? [HOUR, "h"] : ms >= MINUTE ? [MINUTE, "min"] : [SECOND, "s"];
    return `${Math.floor(ms / size).toLocaleString("en")} ${unit} ago`;
  }

  const utc = (moment) => `${new Date(moment).toISOString().slice(0, 19).replace("T", " ")} UTC`;

  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  app.localTimes = (root) => {
    for (const element of root.querySelectorAll("time[data-moment], time[data-second], time[data-clock]")) {
      const moment = new Date(element.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      if (!element.title) element.title = utc(moment);
      const soon = Math.abs(moment - Date.now()) < 12 * HOUR || moment.toDateString() === new Date().toDateString();
      const ofThisYear = moment.getFullYear() === new Date().getFullYear();
      if ("clock" in element.dataset) setText(element, soon ? `at ${clock.format(moment)}` : `on ${weekday.format(moment)}`);
      else setText(element, ("second" in element.dataset && ofThisYear ? second : date).format(moment));
    }
    app.passTime(root);
  };

  app.passTime = (root) => {
    for (const element of root.querySelectorAll("time[data-until]:not([title])")) element.title = utc(element.dateTime);
    for (const element of root.querySelectorAll("time[data-ago]")) setText(element, ago(Date.now() - new Date(element.dateTime)));
    for (const element of root.querySelectorAll("time[data-until]")) setText(element, span(new Date(element.dateTime) - Date.now()));
  };

  app.toast = (text, kind = "done") => {
    const toast = document.createElement("p");
    toast.className = `toast ${kind}`;
    toast.textContent = text;
    app.showToast(toast);
  };

  // In the top layer while a dialog is open, where it can be seen and read out.
  app.showToast = (toast) => {
    const place = document.getElementById("toasts");
    const dialog = document.getElementById("dialog");
    (dialog.open ? dialog : document.body).append(place);
    place.replaceChildren(toast);
    setTimeout(() => toast.remove(), 6000);
  };

  async function copy(button) {
    const text = button.dataset.copy || button.parentElement.querySelector("code").textContent;
    try {
      if (navigator.clipboard) await navigator.clipboard.writeText(text);
      else copyByHand(text, button);
      button.classList.add("copied");
      button.querySelector("use")?.setAttribute("href", "#i-check");
      app.toast("Copied to the clipboard.");
      setTimeout(() => {
        button.classList.remove("copied");
        button.querySelector("use")?.setAttribute("href", "#i-copy");
      }, 2000);
    } catch {
      app.toast("The browser does not let this page copy. Select the text instead.", "bad");
    }
  }

  // Browsers give no clipboard to pages that came over plain HTTP from another machine.
  function copyByHand(text, button) {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr";
    button.after(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    button.focus();
    if (!copied) throw new Error("not copied");
  }

  // What has the focus is found again after its surroundings were replaced: by id, or by its place in a limiter.
  function focusKey() {
    const active = document.activeElement;
    if (!active || !document.getElementById("content").contains(active)) return null;
    if (active.id) return { id: active.id, start: active.selectionStart, end: active.selectionEnd };
    const href = active.getAttribute("href");
    if (href) return { query: `a[href="${CSS.escape(href)}"]` };
    const limiter = active.closest("[data-limiter]")?.dataset.limiter;
    return limiter && active.className ? { query: `[data-limiter="${CSS.escape(limiter)}"] .${CSS.escape(active.classList[0])}` } : null;
  }

  function restoreFocus(key) {
    if (!key) return;
    const element = key.id ? document.getElementById(key.id) : document.querySelector(`#content ${key.query}`);
    element?.focus({ preventScroll: true });
    if (key.id && element?.setSelectionRange && element.type === "search") element.setSelectionRange(key.start, key.end);
  }

  app.parse = (html) => new DOMParser().parseFromString(html, "text/html");

  // Shows a page that was fetched. Whole pages of another kind (the login, an error) are loaded as such.
  app.show = (page, url, { replace = false } = {}) => {
    const content = page.getElementById("content");
    const key = focusKey();
    const current = document.getElementById("content");
    current.replaceWith(document.adoptNode(content));
    document.title = page.title;
    const toast = page.querySelector("[data-toast]");
    if (toast) app.showToast(document.adoptNode(toast));
    if (url !== location.href) history[replace ? "replaceState" : "pushState"]({}, "", url);
    app.enhance(document.getElementById("content"));
    restoreFocus(key);
    document.dispatchEvent(new CustomEvent("content"));
  };

  app.load = async (url, options = {}) => {
    const response = await fetch(url, { credentials: "same-origin", ...options });
    const page = app.parse(await response.text());
    return { response, page, isLogin: new URL(response.url).pathname === "/login" };
  };

  let visit = 0;
  async function swap(url, { replace = false, ...options } = {}) {
    const mine = ++visit;
    const loaded = await app.load(url, options).catch(() => null);
    if (mine !== visit) return;
    if (!loaded) return app.toast("The service cannot be reached. Nothing was changed.", "bad");
    const { response, page, isLogin } = loaded;
    if (isLogin || !page.getElementById("content")) location.assign(isLogin ? loginAgain() : response.url);
    else app.show(page, response.url, { replace });
  }
  app.swap = swap;

  function loginAgain() {
    return `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  }
  app.loginAgain = loginAgain;

  function submit(form, { submitter, ...options } = {}) {
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form, submitter)) if (form.method === "post" || value) fields.append(name, value);
    if (form.method === "post") return swap(form.action, { method: "post", body: fields, ...options });
    const query = fields.toString();
    return swap(form.getAttribute("action") + (query ? `?${query}` : ""), options);
  }

  app.enhance = (root) => {
    app.localTimes(root);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) return void copy(button);
    const link = event.target.closest("a[data-swap]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    swap(link.href).then(() => {
      if (link.rel) scrollTo(0, 0);
    });
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-swap]") || event.defaultPrevented) return;
    event.preventDefault();
    submit(form, { submitter: event.submitter });
  });
  document.addEventListener("change", (event) => {
    event.target.closest("form[data-submit-on-change]")?.requestSubmit();
  });

  let typing = 0;
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-search]")) return;
    clearTimeout(typing);
    typing = setTimeout(() => submit(event.target.form, { replace: true }), 220);
  });

  addEventListener("popstate", () => swap(location.href, { replace: true }));

  document.addEventListener("keydown", (event) => {
    const busy = event.target.matches("input, select, textarea, [contenteditable]");
    if (event.key === "Escape" && event.target.matches("[data-search]")) {
      event.target.value = "";
      event.target.dispatchEvent(new Event("input", { bubbles: true }));
      return event.target.blur();
    }
    if (busy || event.metaKey || event.ctrlKey || event.altKey || document.getElementById("dialog").open) return;
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    } else {
      const wanted = [...document.querySelectorAll("[data-key]")].find((element) => element.dataset.key === event.key);
      if (wanted) {
        event.preventDefault();
        wanted.click();
      }
    }
  });

  setInterval(() => app.passTime(document), 5000);
  app.enhance(document);
  const toast = document.querySelector("[data-toast]");
  if (toast) setTimeout(() => toast.remove(), 6000);
}
