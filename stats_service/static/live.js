// Figures that move: one stream of server-sent events for the page. The server writes the words and numbers; this puts
// them in their places (data-f) and knows nothing of money.
"use strict";

{
  const mark = document.querySelector("[data-live-mark]");
  let source = null;
  let address = null;
  let away = 0;

  function place(root, name, text) {
    const element = root.querySelector(`[data-f="${name}"]`);
    if (element && text !== undefined && element.textContent !== text) element.textContent = text;
    return element;
  }

  function figures(limiter) {
    for (const root of document.querySelectorAll(`[data-limiter="${CSS.escape(limiter.id)}"]`)) {
      for (const name of ["spent", "held", "remaining"]) {
        const element = place(root, name, limiter[name]);
        if (element) element.title = limiter[`${name}_exact`];
      }
      place(root, "percent", limiter.percent);
      place(root, "requests", limiter.requests);
      const status = place(root, "status", limiter.status_text);
      if (status) status.className = `badge ${limiter.status}`;
      const bar = root.querySelector('[data-f="bar"]');
      if (bar) {
        bar.setAttribute("class", `bar ${limiter.level}`);
        bar.setAttribute("aria-label", limiter.bar_text);
        bar.querySelector(".b-spent").setAttribute("width", `${limiter.bar_spent}%`);
        bar.querySelector(".b-held").setAttribute("width", `${Math.min(limiter.bar_spent + limiter.bar_held, 100)}%`);
      }
      const end = root.querySelector('time[data-f="end"]');
      if (end) end.dateTime = limiter.end;
      const pace = root.querySelector('[data-f="pace"]');
      if (pace) pace.innerHTML = limiter.pace;
      const spark = root.querySelector('[data-f="spark"]');
      if (spark) {
        spark.setAttribute("aria-label", limiter.spark_text);
        spark.lastElementChild.setAttribute("d", limiter.spark);
      }
      const last = root.querySelector('[data-f="last"]');
      if (last && limiter.last) {
        if (last.tagName === "TIME") last.dateTime = limiter.last;
        else last.replaceWith(lastCall(limiter.last, last.closest("td") ? "" : "Last call "));
      }
      app.localTimes(root);
    }
  }

  // The first call of all takes the place of "No calls yet".
  function lastCall(moment, before) {
    const time = document.createElement("time");
    time.dateTime = moment;
    time.dataset.ago = "";
    time.dataset.f = "last";
    const both = document.createDocumentFragment();
    both.append(before, time);
    return both;
  }

  function calls({ limiter, rows }) {
    const body = document.querySelector(`[data-calls="${CSS.escape(limiter)}"]`);
    if (!body || !rows.length) return;
    if ("first" in body.dataset) return app.swap(location.href, { replace: true });
    for (const { id, html } of rows) {
      const template = document.createElement("template");
      template.innerHTML = html;
      const row = template.content.firstElementChild;
      const known = body.querySelector(`[data-call="${id}"]`);
      if (known) {
        known.replaceWith(row);
      } else {
        const before = [...body.children].find((other) => Number(other.dataset.call) < id);
        row.classList.add("fresh");
        if (before) before.before(row);
        else if (body.children.length < Number(body.dataset.most)) body.append(row);
      }
    }
    while (body.children.length > Number(body.dataset.most)) body.lastElementChild.remove();
    app.localTimes(body);
  }

  function state(text, lost) {
    mark.hidden = !text;
    mark.classList.toggle("lost", lost);
    mark.querySelector("span").textContent = text;
    mark.title = lost ? "The figures may be old; trying again." : "Figures move as calls are made.";
  }

  function connect() {
    const wanted = document.hidden ? null : document.querySelector("[data-live]")?.dataset.live ?? null;
    if (wanted === address) return;
    source?.close();
    source = null;
    address = wanted;
    if (!wanted) {
      away ||= Date.now();
      return state("", false);
    }
    source = new EventSource(wanted);
    source.addEventListener("open", () => {
      state("Live", false);
      // Whoever was away gets a fresh page: the stream tells only what moves from now on.
      if (away && Date.now() - away > 5000) app.swap(location.href, { replace: true });
      away = 0;
    });
    source.addEventListener("figures", (event) => JSON.parse(event.data).forEach(figures));
    source.addEventListener("calls", (event) => calls(JSON.parse(event.data)));
    source.addEventListener("signed-out", () => location.assign(app.loginAgain()));
    source.addEventListener("error", () => {
      state("Reconnecting", true);
      away ||= Date.now();
      // An answer that is no stream ends an EventSource for good; a restarted service deserves another try.
      if (source?.readyState === EventSource.CLOSED) {
        address = null;
        setTimeout(again, 5000);
      }
    });
  }

  // What is no stream may be the end of the session.
  async function again() {
    const loaded = await app.load(location.href).catch(() => null);
    if (loaded?.isLogin) location.assign(app.loginAgain());
    else connect();
  }

  document.addEventListener("content", connect);
  document.addEventListener("visibilitychange", connect);
  addEventListener("pagehide", () => source?.close());
  connect();
}
