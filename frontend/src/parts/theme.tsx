// Light or dark: what the system says, until somebody says otherwise.
import { useState } from "preact/hooks";

const KEY = "neurolysis-theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");

function chosen(): string {
  return localStorage.getItem(KEY) ?? (system.matches ? "dark" : "light");
}

export function applyTheme(): void {
  document.documentElement.dataset["theme"] = chosen();
}

system.addEventListener("change", applyTheme);

export function ThemeButton() {
  const [theme, setTheme] = useState(chosen());
  const other = theme === "dark" ? "light" : "dark";
  const turn = () => { localStorage.setItem(KEY, other); applyTheme(); setTheme(other); };
  return <button class="plain" onClick={turn}>{other === "dark" ? "Dark" : "Light"}<span class="hidden"> colours</span></button>;
}
