// Light or dark as the system is, also when that changes.
const page = document.querySelector("rapi-doc");
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const colours = {
  light: { theme: "light", "bg-color": "#ffffff", "text-color": "#1c2733", "primary-color": "#0b6e75", "nav-bg-color": "#f2f5f7", "nav-text-color": "#1c2733" },
  dark: { theme: "dark", "bg-color": "#14191f", "text-color": "#d7dee6", "primary-color": "#46b8bf", "nav-bg-color": "#0e1216", "nav-text-color": "#c3ccd5" },
};
const paint = () => {
  for (const [name, value] of Object.entries(dark.matches ? colours.dark : colours.light)) page.setAttribute(name, value);
};
dark.addEventListener("change", paint);
paint();
