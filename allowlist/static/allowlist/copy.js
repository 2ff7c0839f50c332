// Puts a button that copies the text after each element with data-allowlist-copy, the button's label.
// The script's data-button names the button's class.
"use strict";
{
    const className = document.currentScript.dataset.button ?? "button allowlist-copy";
    document.addEventListener("DOMContentLoaded", () => {
        if (!navigator.clipboard) {
            return; // Pages that aren't served by https have no clipboard.
        }
        for (const element of document.querySelectorAll("[data-allowlist-copy]")) {
            const button = document.createElement("button");
            button.type = "button";
            button.className = className;
            button.textContent = element.dataset.allowlistCopy;
            button.addEventListener("click", async () => {
                await navigator.clipboard.writeText(element.textContent.trim());
                button.textContent = element.dataset.allowlistCopied;
            });
            element.after(" ", button);
        }
    });
}
