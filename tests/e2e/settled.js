/** What the page still waits for; null when it is settled. */
() => {
  const LOADING = new Set(["HA-INIT-PAGE", "HASS-LOADING-SCREEN", "HA-SPINNER", "HA-FADE-IN"]);
  const walk = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (LOADING.has(element.tagName) && element.getClientRects().length) return element.tagName;
      const inside = element.shadowRoot && walk(element.shadowRoot);
      if (inside) return inside;
    }
    return null;
  };
  const home = document.querySelector("home-assistant");
  if (!home?.hass?.connected) return "a connection";
  return walk(document);
};
