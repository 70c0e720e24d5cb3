// Takes over what changed, every second and a half; forms are left alone, so that nobody's typing is lost.
const down = (box) => { if (box.classList.contains("chat")) box.scrollTop = box.scrollHeight; };
document.querySelectorAll(".chat").forEach(down);
setInterval(async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (fresh.querySelectorAll(".phone").length !== document.querySelectorAll(".phone").length) return location.reload();
    for (const box of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(box.id);
      if (next && next.outerHTML !== box.outerHTML) { box.replaceWith(next); down(next); }
    }
  } catch { /* the sandbox is away: try again */ }
}, 1500);
