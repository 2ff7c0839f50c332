// Extras of the creator's pages: everything works without them.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    for (const element of document.querySelectorAll("[data-al-copy]")) {
        if (navigator.clipboard) { // Pages that aren't served by https have no clipboard.
            element.after(copyButton(element));
        }
    }
    for (const button of document.querySelectorAll("[data-al-add]")) {
        button.addEventListener("click", addRow);
    }
});

function copyButton(element) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "al-button al-copy";
    button.textContent = element.dataset.alCopy;
    button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(element.textContent.trim());
        button.textContent = element.dataset.alCopied;
    });
    return button;
}

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
