/**
 * Looks at what a view of a dashboard shows; runs in the page.
 *
 * Returns what a user would call a bug: cards with an error, texts that are no texts,
 * texts that are cut off. Empty while something is still being loaded: `loading`.
 */
() => {
  const found = { loading: false, cards: 0, faults: [] };
  const shown = (element) => element.getClientRects().length > 0;
  const cut = (element) => {
    let box = element;
    for (let level = 0; level < 3 && box instanceof Element; level++) {
      const { textOverflow } = getComputedStyle(box);
      if (textOverflow === "ellipsis" && box.scrollWidth > box.clientWidth + 1) {
        return true;
      }
      box = box.parentElement ?? box.getRootNode().host;
    }
    return false;
  };
  const LOADING = ["HA-INIT-PAGE", "HASS-LOADING-SCREEN", "HA-SPINNER"];
  const WRONG = ["HUI-ERROR-CARD", "HUI-WARNING", "HUI-ERROR-HEADING-BADGE"];
  const RAW = /component\.\w+\.|ui\.(panel|card|components)\.|undefined|NaN|\[object/;
  const walk = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (shown(element)) {
        look(element);
      }
      if (element.shadowRoot) {
        walk(element.shadowRoot);
      }
    }
  };
  const look = (element) => {
    found.loading ||= LOADING.includes(element.tagName);
    found.cards += element.tagName === "HUI-CARD";
    if (WRONG.includes(element.tagName)) {
      found.faults.push(`an error: ${element.shadowRoot?.textContent.trim()}`);
    }
    if (["STYLE", "SCRIPT"].includes(element.tagName)) {
      return;
    }
    const text = [...element.childNodes]
      .filter((node) => node.nodeType === Node.TEXT_NODE)
      .map((node) => node.textContent)
      .join("")
      .trim();
    if (RAW.test(text)) {
      found.faults.push(`no text: ${text}`);
    }
    if (text && cut(element)) {
      found.faults.push(`cut off: ${text}`);
    }
  };
  walk(document);
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) {
    found.faults.push(`wider than the screen by ${scrollWidth - clientWidth}`);
  }
  return found;
};
