// Keeps the page fresh and sends its forms without leaving it. Without scripts the page works all the same.
const problem = document.getElementById("problem");
const atEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < 40;
const down = (box) => { if (box.classList.contains("chat")) box.scrollTop = box.scrollHeight; };
const say = (words) => { problem.textContent = words; problem.hidden = !words; };

// Takes over what changed. What is being typed, and what has the focus, stays.
const take = (html) => {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const shelf = document.getElementById("phones");
  const phones = new Map([...fresh.querySelectorAll(".phone")].map((phone) => [phone.id, phone]));
  for (const old of shelf.querySelectorAll(".phone")) if (!phones.has(old.id)) old.remove();
  for (const [id, phone] of phones) {
    if (document.getElementById(id)) continue;
    shelf.querySelector(".empty")?.remove();
    shelf.append(phone);
    phone.querySelectorAll(".chat").forEach(down);
  }
  for (const box of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(box.id);
    if (!next || next.isEqualNode(box)) continue;
    const end = atEnd(box);
    box.replaceChildren(...next.childNodes);
    for (const { name, value } of next.attributes) box.setAttribute(name, value);
    box.hidden = next.hidden;
    if (end) down(box);
  }
};

const refresh = async () => {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  take(await answer.text());
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  event.preventDefault();
  try {
    const body = new URLSearchParams(new FormData(form, event.submitter));
    const answer = await fetch(form.action, { method: "POST", body, headers: { accept: "text/plain" } });
    say(answer.ok ? "" : await answer.text());
    if (!answer.ok) return;
    form.reset();
    await refresh();
  } catch {
    say("The sandbox does not answer.");
  }
});

document.querySelectorAll(".chat").forEach(down);
// A picture makes its chat taller once it has arrived.
document.addEventListener("load", (event) => { const chat = event.target.closest?.(".chat"); if (chat) down(chat); }, true);
setInterval(() => { if (!document.hidden) refresh().catch(() => {}); }, 1500);
