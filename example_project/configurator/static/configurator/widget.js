// The widget. A customer embeds it with one line:
//
//   <script src="https://…/widget.js" data-key="pk_live_…"></script>
//
// It appears where the line is, in a shadow tree, so that the page's styles and the widget's don't mix.
// It sends its requests to the host that it was loaded from. In a frame's document (see frame.html) it also has
// data-embed-token, which says for the page that embeds the frame that it may.
(() => {
  "use strict";

  const script = document.currentScript;
  const api = new URL("/api/widget/v1/", script.src);
  const key = script.dataset.key;
  let embedToken = script.dataset.embedToken;

  const MESSAGES = {
    noKey: "This configurator has no key. Copy the whole line again, including data-key.",
    401: "This configurator's key doesn't work. Its owner can see why on the key's page.",
    403: "This configurator isn't authorised on this domain.",
    embed_token_invalid: "This page has been open for too long. Please reload it.",
    429: "Too many requests. Please wait a minute and try again.",
    unreachable: "The configurator can't be reached. Please check your connection and try again.",
    other: "The configurator is not available right now. Please try again in a moment.",
  };

  const STYLE = `
    :host { display: block; font: 16px/1.5 system-ui, sans-serif; color: #1f2a2e; }
    .card { padding: 1.5rem; border-radius: 12px; background: #fff; box-shadow: 0 2px 14px rgb(0 0 0 / .12); }
    h2 { margin: 0 0 1rem; font-size: 1.35rem; }
    label { display: block; margin-bottom: .9rem; font-weight: 600; font-size: .92rem; }
    input, select { display: block; width: 100%; box-sizing: border-box; margin-top: .25rem; padding: .55rem .7rem;
      border: 1px solid #a9b2b5; border-radius: 7px; background: #fff; color: inherit; font: inherit; font-weight: 400; }
    input:focus, select:focus, button:focus { outline: 3px solid #9cc5ff; outline-offset: 1px; }
    .price { margin: 1rem 0; font-size: 1.1rem; }
    button { width: 100%; padding: .7rem; border: 0; border-radius: 7px; background: #1f2a2e; color: #fff;
      font: inherit; font-weight: 600; cursor: pointer; }
    button:disabled { opacity: .6; cursor: default; }
    [role=alert] { margin: .8rem 0 0; color: #9b2412; }
    [role=alert]:empty { display: none; }
    .notice { margin: 0; padding: .9rem 1.1rem; border-left: 4px solid #9b2412; border-radius: 4px; background: #fdf0ed; }
    .thanks { margin: 0; padding: .9rem 1.1rem; border-left: 4px solid #2c7a4b; border-radius: 4px; background: #eef8f1; }
  `;

  const host = document.createElement("div");
  host.className = "configurator-widget";
  script.after(host);
  const root = host.attachShadow({ mode: "open" });
  const card = element("div", { className: "card" });
  root.append(element("style", { textContent: STYLE }), card);

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // Show one sentence instead of the form.
  function show(className, text) {
    const notice = element("p", { className, textContent: text });
    notice.setAttribute("role", "status");
    card.replaceChildren(notice);
  }

  // Returns the response's body, or throws an Error with a message for the visitor.
  async function call(path, options = {}) {
    const headers = { "X-API-Key": key };
    if (embedToken) headers["X-Embed-Token"] = embedToken;
    if (options.body) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(new URL(path, api), { ...options, headers, credentials: "omit" });
    } catch {
      throw new Error(MESSAGES.unreachable);
    }
    embedToken = response.headers.get("X-Embed-Token") ?? embedToken;  // Before it ends, the service sends a new one.
    if (response.ok) return response.json();
    const said = await response.json().catch(() => null);
    const error = new Error(MESSAGES[said?.reason] ?? MESSAGES[response.status] ?? MESSAGES.other);
    error.status = response.status;
    if (response.status === 400) error.message = sentences(said);
    throw error;
  }

  // What the service says about the visitor's input: {"email": ["Enter a valid email address."]}.
  function sentences(problems) {
    const said = Object.values(problems ?? {}).flat().filter((each) => typeof each === "string");
    return said.join(" ") || MESSAGES.other;
  }

  function drawForm(config) {
    const money = new Intl.NumberFormat(undefined, {
      style: "currency", currency: config.currency, maximumFractionDigits: 0,
    });
    const selects = config.options.map((option) => drawSelect(option, money));
    const name = element("input", { name: "name", required: true, maxLength: 100, autocomplete: "name" });
    const email = element("input", { name: "email", type: "email", required: true, autocomplete: "email" });
    const price = element("p", { className: "price" });
    const button = element("button", { type: "submit", textContent: "Send me an offer" });
    const problem = element("p");
    problem.setAttribute("role", "alert");

    const form = element(
      "form", {},
      element("h2", { textContent: config.title }),
      ...selects.map(({ label }) => label),
      price,
      element("label", {}, "Your name", name),
      element("label", {}, "Your email address", email),
      button, problem,
    );
    const showPrice = () => {
      const extra = selects.reduce((sum, { price: priceOf }) => sum + priceOf(), 0);
      price.textContent = `Total: ${money.format(config.base_price + extra)}`;
    };
    form.addEventListener("change", showPrice);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const choices = Object.fromEntries(selects.map(({ select }) => [select.name, select.value]));
      submit({ name: name.value, email: email.value, choices }, button, problem);
    });
    showPrice();
    card.replaceChildren(form);
  }

  function drawSelect(option, money) {
    const select = element("select", { name: option.name });
    for (const { value, label, price } of option.choices) {
      const extra = price ? ` (+ ${money.format(price)})` : "";
      select.append(element("option", { value, textContent: label + extra }));
    }
    const price = () => option.choices[select.selectedIndex].price;
    return { select, price, label: element("label", {}, option.label, select) };
  }

  async function submit(lead, button, problem) {
    button.disabled = true;
    problem.textContent = "";
    try {
      await call("submit", { method: "POST", body: JSON.stringify(lead) });
      show("thanks", `Thank you, ${lead.name}. Your offer is on its way to ${lead.email}.`);
    } catch (error) {
      if (error.status === 403) return show("notice", error.message);
      problem.textContent = error.message;
      button.disabled = false;
    }
  }

  if (!key) return show("notice", MESSAGES.noKey);
  call("config").then(drawForm).catch((error) => show("notice", error.message));
})();
