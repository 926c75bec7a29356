// Dialogs of the knowledge page, and its list that refreshes itself while something is being read.

const REFRESH_MS = 2000;

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) document.getElementById(opener.dataset.open)?.showModal();
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset?.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

const box = document.getElementById("source-rows");

function busy() {
  // Not while somebody reads the list of problems or has a control of the list in focus.
  return box.querySelector("details[open]") || box.contains(document.activeElement);
}

async function refresh() {
  if (!box.querySelector("[data-active]")) return;
  if (!document.hidden && !busy()) {
    try {
      const answer = await fetch(box.dataset.rowsUrl, { headers: { "X-Requested-With": "fetch" } });
      if (answer.redirected || answer.status === 401 || answer.status === 403) return;
      if (answer.ok) box.innerHTML = await answer.text();
    } catch {
      // Offline: the next round tries again.
    }
  }
  setTimeout(refresh, REFRESH_MS);
}

setTimeout(refresh, REFRESH_MS);
