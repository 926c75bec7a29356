// Behaviour shared by all staff pages: the theme switch and menus that close by themselves.

function themeNow() {
  return document.documentElement.dataset.theme || "";
}

function themeSet(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  try {
    if (theme) localStorage.setItem("nlpsuite.theme", theme);
    else localStorage.removeItem("nlpsuite.theme");
  } catch {
    // Without storage the choice lasts for this page.
  }
  themeMark();
}

function themeMark() {
  for (const choice of document.querySelectorAll("[data-theme-choice]")) {
    choice.setAttribute("aria-checked", String(choice.dataset.themeChoice === themeNow()));
  }
}

function menusClose(except) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(except)) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-theme-choice]");
  if (choice) themeSet(choice.dataset.themeChoice);
  menusClose(event.target);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = event.target.closest?.("details[data-menu][open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
  event.stopPropagation();
});

themeMark();
