// Points each sample at its token: the policy allows no inline style.
for (const swatch of document.querySelectorAll("[data-token]")) swatch.style.setProperty("--token", `var(--${swatch.dataset.token})`);
for (const line of document.querySelectorAll("[data-size]")) line.style.setProperty("--token", `var(--text-${line.dataset.size})`);
