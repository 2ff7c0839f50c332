// A widget that asks one address and shows what it is told: the data, or in words why there is none.
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

  const sentence = (answer) =>
    answer.message || answer.error || answer.detail || "The widget could not be loaded.";

  fetch(url, { headers: key ? { "X-API-Key": key } : {} })
    .then(async (response) => {
      const answer = await response.json();
      if (response.ok) show("served", "It works here", JSON.stringify(answer, null, 2));
      else show("refused", sentence(answer), `HTTP ${response.status}`);
    })
    .catch(() => show("failed", "The widget's service cannot be reached.", ""));
})();
