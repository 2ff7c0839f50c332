// Adds a row to a list on the creator's pages, without sending the form. Everything works without it.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("[data-al-add]")) {
        button.addEventListener("click", addRow);
    }
});

function addRow(event) {
    const section = event.currentTarget.dataset.alAdd;
    const total = document.querySelector(`#${section} [name$="-TOTAL_FORMS"]`);
    const blank = document.getElementById(`${section}-blank`);
    if (!total || !blank) {
        return; // The button then sends the form, which adds what was typed.
    }
    event.preventDefault();
    const row = document.createElement("div");
    row.innerHTML = blank.innerHTML.replaceAll("__prefix__", total.value);
    total.value = Number(total.value) + 1;
    const added = row.firstElementChild;
    document.getElementById(`${section}-rows`).append(added);
    added.querySelector("input:not([type=hidden])").focus();
}
