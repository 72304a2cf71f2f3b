/** What is wrong with the page as it is shown: one line per fault. */
({ shortens }) => {
  const KEY = /\b(component\.[a-z_]+\.|ui\.(panel|common|components|dialogs|card|errors|duration)\.)/;
  const RAW = /^[a-z0-9]+(_[a-z0-9]+)+$/;
  const GAP = /\{[a-z_]+\}/;
  const faults = new Set();
  /**
   * Home Assistant shortens names in the list of what happened and, where room is short, in lists of entities.
   * The views of a dashboard are scrolled where there are many.
   */
  const SHORTENED = ["ha-logbook", "ha-tab-group", ...(shortens ? ["hui-generic-entity-row"] : [])];
  const parent = (node) => node.assignedSlot ?? node.parentElement ?? node.getRootNode().host ?? null;
  const told = (text) => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);

  function* elements(root) {
    for (const element of root.querySelectorAll("*")) {
      yield element;
      if (element.shadowRoot) yield* elements(element.shadowRoot);
    }
  }

  /** What is looked at: the dialog on top, else the page beside the sidebar. */
  const all = [...elements(document)];
  const open = all.filter((e) => e.localName === "dialog" && e.open);
  const page = all.find((e) => e.localName === "partial-panel-resolver");
  const within = open.at(-1) ?? page;
  if (!within) return ["there is no page"];
  const isInside = (element) => {
    for (let at = element; at; at = parent(at)) if (at === within) return true;
    return false;
  };
  const isShown = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true });

  const looked = all.filter((e) => !["STYLE", "SCRIPT", "SLOT"].includes(e.tagName) && isShown(e) && isInside(e));

  const isShortened = (element) => {
    for (let at = element; at && at !== within; at = parent(at)) if (SHORTENED.includes(at.localName)) return true;
    return false;
  };

  const cutBy = (rect, element) => {
    if (rect.right > innerWidth + 1 || rect.left < -1) return "the screen";
    let scrolls = false; // what is below the edge is reached
    for (let at = element; at && at !== within; at = parent(at)) {
      const style = getComputedStyle(at);
      if (style.display === "inline" || style.display === "contents") continue;
      const box = at.getBoundingClientRect();
      if (box.width <= 1 || box.height <= 1) return null; // for screen readers only
      if (style.overflowX !== "visible" && (rect.right > box.right + 1 || rect.left < box.left - 1)) return at.localName;
      scrolls ||= ["auto", "scroll"].includes(style.overflowY);
      const folds = !scrolls && ["hidden", "clip"].includes(style.overflowY);
      if (folds && rect.top < box.bottom - 1 && rect.bottom > box.bottom + 3) return at.localName;
      if (style.position === "fixed") return null;
    }
    return null;
  };

  for (const element of looked) {
    for (const node of element.childNodes) {
      if (node.nodeType !== Node.TEXT_NODE) continue;
      const text = node.textContent.trim();
      if (!text) continue;
      if (KEY.test(text) || RAW.test(text)) faults.add(`a key instead of a text: ${told(text)}`);
      if (GAP.test(text)) faults.add(`a gap in a text: ${told(text)}`);
      const range = document.createRange();
      range.selectNodeContents(node);
      if (isShortened(element)) continue;
      for (const rect of range.getClientRects()) {
        const by = cutBy(rect, element);
        if (by) faults.add(`a text is cut off by ${by}: ${told(text)}`);
      }
    }
    const icon = element.localName;
    if (icon === "ha-svg-icon" && !element.shadowRoot?.querySelector("path[d]:not([d=''])"))
      faults.add(`an icon is missing in ${parent(element)?.localName}`);
    if ((icon === "ha-icon" || icon === "ha-state-icon") && !element.shadowRoot?.childElementCount)
      faults.add(`an icon is missing in ${parent(element)?.localName}`);
    if (icon === "img" && element.complete && !element.naturalWidth)
      faults.add(`a picture is missing: ${new URL(element.src).pathname}`);
  }
  return [...faults];
};
