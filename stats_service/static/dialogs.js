// Links with data-dialog open their page's [data-dialog-body] in the one dialog; forms in it are sent from there. A page that
// comes back with errors replaces the body; a redirect closes the dialog and shows the page it leads to.
"use strict";

{
  const dialog = document.getElementById("dialog");
  let opener = null;

  function fill(page) {
    const body = page.querySelector("[data-dialog-body]");
    if (!body) return false;
    document.body.append(document.getElementById("toasts"));
    const inner = document.createElement("div");
    inner.className = "dialog-in sheet";
    const close = document.createElement("button");
    close.type = "button";
    close.className = "button ghost icon-only dialog-close";
    close.setAttribute("aria-label", "Close");
    close.dataset.close = "";
    close.append(icon("close"));
    inner.append(...document.adoptNode(body).childNodes, close);
    dialog.classList.toggle("wide", body.classList.contains("wide"));
    dialog.replaceChildren(inner);
    app.enhance(dialog);
    tabs(dialog);
    if (!dialog.open) dialog.showModal();
    const wrong = dialog.querySelector('[aria-invalid="true"]');
    (wrong ?? dialog.querySelector("[autofocus]") ?? close).focus();
    const toast = page.querySelector("[data-toast]");
    if (toast) app.showToast(document.adoptNode(toast));
    return true;
  }

  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("width", "16");
    svg.setAttribute("height", "16");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#i-${name}`);
    svg.append(use);
    return svg;
  }

  async function open(link) {
    const loaded = await app.load(link.href).catch(() => null);
    if (!loaded) return app.toast("The service cannot be reached.", "bad");
    if (loaded.isLogin) return location.assign(app.loginAgain());
    if (!dialog.open) opener = link;
    if (!fill(loaded.page)) location.assign(link.href);
  }

  async function send(form) {
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    // Afterwards the page behind is shown again as it is now: its search, its order.
    if (form.elements.back) form.elements.back.value = location.pathname + location.search;
    const body = new URLSearchParams(new FormData(form));
    const loaded = await app.load(form.action, { method: "post", body }).catch(() => null);
    button.disabled = false;
    if (!loaded) return app.toast("The service cannot be reached. Nothing was changed.", "bad");
    const { response, page, isLogin } = loaded;
    if (isLogin) return location.assign(app.loginAgain());
    if (fill(page)) {
      // A new limiter leads to its address; the list behind the dialog has it already.
      if (response.redirected) app.swap(location.href, { replace: true });
      return;
    }
    dialog.close();
    app.show(page, response.redirected ? response.url : location.href);
  }

  // Headings become tabs; the choice holds for the next dialog, too.
  let chosen = "";
  function tabs(root) {
    for (const group of root.querySelectorAll("[data-tabs]")) {
      const panels = [...group.querySelectorAll("[data-tab]")];
      const list = document.createElement("div");
      list.className = "tab-list";
      list.setAttribute("role", "tablist");
      const buttons = panels.map((panel) => {
        const button = document.createElement("button");
        button.type = "button";
        button.id = `${panel.id}-tab`;
        button.textContent = panel.dataset.tab;
        button.setAttribute("role", "tab");
        button.setAttribute("aria-controls", panel.id);
        panel.setAttribute("role", "tabpanel");
        panel.setAttribute("aria-labelledby", button.id);
        button.addEventListener("click", () => select(panel.dataset.tab));
        return button;
      });
      const select = (name) => {
        chosen = name;
        panels.forEach((panel, place) => {
          const on = panel.dataset.tab === name;
          panel.hidden = !on;
          buttons[place].setAttribute("aria-selected", String(on));
          buttons[place].tabIndex = on ? 0 : -1;
        });
      };
      list.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
        next.focus();
        next.click();
      });
      list.append(...buttons);
      group.prepend(list);
      select(panels.some((panel) => panel.dataset.tab === chosen) ? chosen : panels[0].dataset.tab);
    }
  }

  // The form of a limiter says in plain words what it will do, and what is wrong, while it is filled in.
  function summarize(form) {
    const output = form.querySelector("[data-summary]");
    const amount = form.elements.budget_limit.value.trim();
    const period = form.elements.period_type.selectedOptions[0];
    const [whole, decimals = ""] = amount.split(".");
    output.textContent = wrongBudget(amount)
      ? "An amount of dollars for each period."
      : `$${(whole || "0").replace(/^0+(?=\d)/, "").replace(/\B(?=(\d{3})+$)/g, ",")}.${decimals.padEnd(2, "0")} each ${period.value}, ${period.dataset.resets}`;
  }

  function wrongBudget(amount) {
    if (!amount) return "Budget is required.";
    if (!/^(\d+\.?\d*|\.\d+)$/.test(amount)) return "Budget must be a number of dollars, such as 20 or 0.50.";
    if (/\.\d{10,}$/.test(amount)) return "Budget has more than 9 decimal places.";
    return Number(amount) > 1e9 ? "Budget must be from 0 to 1000000000 dollars." : "";
  }

  const checks = {
    name: (value) => (value.trim() ? "" : "Name is required."),
    budget_limit: (value) => wrongBudget(value.trim()),
    base_url: (value) => (/^https?:\/\/[^/]/.test(value.trim()) ? "" : "Upstream address must start with http:// or https:// and name a host."),
  };

  function check(input) {
    const reason = checks[input.name]?.(input.value) ?? "";
    const field = input.closest(".field");
    let message = field.querySelector(".error");
    field.classList.toggle("wrong", Boolean(reason));
    if (!reason) {
      message?.remove();
      input.removeAttribute("aria-invalid");
      return true;
    }
    if (!message) {
      message = document.createElement("p");
      message.className = "error";
      message.id = `e-${input.name}`;
      field.append(message);
    }
    message.textContent = reason;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", message.id);
    return false;
  }

  document.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    const close = event.target.closest("[data-close]");
    if (close && dialog.contains(close)) {
      event.preventDefault();
      return dialog.close();
    }
    if (event.target === dialog) return dialog.close();
    const link = event.target.closest("a[data-dialog]");
    if (link) {
      event.preventDefault();
      open(link);
    }
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("[data-limiter-form]")) {
      const wrong = Object.keys(checks).map((name) => form.elements[name]).filter((input) => !check(input));
      if (wrong.length) {
        event.preventDefault();
        event.stopPropagation();
        return wrong[0].focus();
      }
    }
    if (dialog.contains(form)) {
      event.preventDefault();
      send(form);
    }
  });
  document.addEventListener("input", (event) => {
    const form = event.target.closest("[data-limiter-form]");
    if (form) {
      summarize(form);
      if (event.target.hasAttribute("aria-invalid")) check(event.target);
    }
    const expected = event.target.dataset?.mustEqual;
    if (expected !== undefined) event.target.setCustomValidity(event.target.value.trim() === expected ? "" : "Type the limiter's name.");
  });
  // A message that appears under the pointer would push the button away that is being pressed: it waits for the click.
  let pressed = false;
  let left = null;
  document.addEventListener("pointerdown", () => (pressed = true), true);
  for (const name of ["pointerup", "pointercancel"]) {
    document.addEventListener(name, () => {
      pressed = false;
      setTimeout(() => {
        if (left?.isConnected) check(left);
        left = null;
      });
    });
  }
  document.addEventListener("focusout", (event) => {
    const input = event.target;
    if (!(input.name in checks) || !input.closest("[data-limiter-form]") || !input.value) return;
    if (pressed) left = input;
    else check(input);
  });
  dialog.addEventListener("close", () => {
    document.body.append(document.getElementById("toasts"));
    dialog.replaceChildren();
    if (opener?.isConnected) opener.focus();
    else if (opener) document.querySelector(`a[data-dialog][href="${CSS.escape(opener.getAttribute("href"))}"]`)?.focus();
    opener = null;
  });
}
