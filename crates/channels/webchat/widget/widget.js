// The chat widget. This first form opens the chat's page of its own in a new window; it needs no more than a browser.
(function () {
  "use strict";
  var script = document.currentScript;
  var key = script && script.dataset.widget;
  if (!key) {
    return;
  }
  var link = document.createElement("a");
  link.href = new URL("frame?widget=" + encodeURIComponent(key), script.src).href;
  link.target = "_blank";
  link.rel = "noopener";
  link.className = "transom-chat-link";
  link.textContent = "Chat";
  document.body.appendChild(link);
})();
