// The demo shop's own script: what a site owner would write to open the chat from a button.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-chat-open]")) window.nlpsuite.open();
});
