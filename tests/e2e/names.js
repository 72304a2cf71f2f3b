/** The names in each list of a device's page, by the title of the list. */
() => {
  function* elements(root) {
    for (const element of root.querySelectorAll("*")) {
      yield element;
      if (element.shadowRoot) yield* elements(element.shadowRoot);
    }
  }
  const lists = [...elements(document)].filter((e) => e.localName === "ha-device-entities-card");
  return lists.map((list) => [
    list.header,
    [...elements(list.shadowRoot)]
      .filter((e) => e.localName === "hui-generic-entity-row")
      .map((row) => row.shadowRoot.querySelector(".info")?.textContent.trim() ?? ""),
  ]);
};
