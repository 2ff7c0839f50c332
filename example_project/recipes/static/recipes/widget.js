// A widget that requests one URL and shows the response: the data, or the reason for the refusal.
(() => {
  const { url, key } = document.currentScript.dataset;
  const box = document.createElement("section");
  box.setAttribute("role", "status");
  document.currentScript.after(box);

  const show = (state, heading, text) => {
    box.dataset.state = state;
    const title = document.createElement("h2");
    title.textContent = heading;
    const body = document.createElement("pre");
    body.textContent = text;
    box.replaceChildren(title, body);
  };

  const sentence = (body) =>
    body.message || body.error || body.detail || "The widget could not be loaded.";

  fetch(url, { headers: key ? { "X-API-Key": key } : {} })
    .then(async (response) => {
      const body = await response.json();
      if (response.ok) show("served", "It works here", JSON.stringify(body, null, 2));
      else show("refused", sentence(body), `HTTP ${response.status}`);
    })
    .catch(() => show("failed", "The widget's service can't be reached.", ""));
})();
