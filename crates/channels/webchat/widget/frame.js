// The page with the chat alone, over the WebSocket.
(function () {
  "use strict";
  var key = new URLSearchParams(location.search).get("widget");
  var store = "transom-chat:" + key;
  var list = document.getElementById("messages");
  var text = document.getElementById("text");
  var socket = null;
  var seen = 0;
  var pause = 500;

  function show(message) {
    var item = document.createElement("li");
    item.textContent = (message.from.name || message.from.kind) + ": " + message.text;
    list.appendChild(item);
  }

  function send(frame) {
    socket.send(JSON.stringify(frame));
  }

  function connect() {
    var address = new URL("ws?widget=" + encodeURIComponent(key), location.href);
    address.protocol = address.protocol.replace("http", "ws");
    socket = new WebSocket(address.href, "chat.v1.json");
    socket.onopen = function () {
      var hello = { type: "hello", v: 1, token: localStorage.getItem(store) || undefined };
      if (seen) {
        hello.last_seq = seen;
      }
      send(hello);
    };
    socket.onmessage = function (event) {
      var frame = JSON.parse(event.data);
      if (frame.type === "welcome") {
        pause = 500;
        if (frame.token) {
          localStorage.setItem(store, frame.token);
        }
        if (frame.resume === "reset") {
          list.textContent = "";
          seen = frame.last_seq;
          frame.conversations.forEach(function (conversation) {
            send({ type: "fetch", conversation_id: conversation.id });
          });
        }
      } else if (frame.type === "history") {
        frame.messages.forEach(show);
      } else if (frame.type === "message" && frame.seq > seen) {
        seen = frame.seq;
        show(frame.message);
        send({ type: "ack", seq: seen });
      } else if (frame.type === "ack") {
        seen = Math.max(seen, frame.seq);
      } else if (frame.type === "error" && frame.code === "unauthorized") {
        localStorage.removeItem(store);
      }
    };
    socket.onclose = function () {
      setTimeout(connect, Math.random() * pause);
      pause = Math.min(pause * 2, 30000);
    };
  }

  setInterval(function () {
    if (socket.readyState === WebSocket.OPEN) {
      send({ type: "ping", t: Date.now() });
    }
  }, 25000);
  document.getElementById("form").addEventListener("submit", function (event) {
    event.preventDefault();
    if (text.value && socket.readyState === WebSocket.OPEN) {
      send({ type: "message", client_id: crypto.randomUUID(), text: text.value });
      show({ from: { kind: "you" }, text: text.value });
      text.value = "";
    }
  });
  connect();
})();
