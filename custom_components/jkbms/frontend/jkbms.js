/**
 * Makes the dashboard strategy `custom:jkbms` known to Home Assistant.
 *
 * Every page of Home Assistant loads this file. What builds the dashboard is loaded when
 * one is opened.
 */

import { texts } from "./texts.js";

const TYPE = "jkbms";
const TITLE = "JK BMS";
const ICON = "mdi:home-battery";

const STRATEGIES = {
  dashboard: class extends HTMLElement {
    static async generate(config, hass) {
      const { dashboard } = await import("./dashboard.js");
      return dashboard(config, hass);
    }

    /** What the dialog that adds a dashboard starts with. */
    static getCreateSuggestions() {
      return { title: TITLE, icon: ICON };
    }
  },
  view: class extends HTMLElement {
    static async generate(config, hass) {
      const { view } = await import("./dashboard.js");
      return view(config, hass);
    }
  },
};

for (const [kind, strategy] of Object.entries(STRATEGIES)) {
  // Another release of this file may have been loaded into the page before.
  const tag = `ll-strategy-${kind}-${TYPE}`;
  if (!customElements.get(tag)) {
    customElements.define(tag, strategy);
  }
}

window.customStrategies ??= [];
if (!window.customStrategies.some((known) => known.type === TYPE)) {
  window.customStrategies.push({
    type: TYPE,
    strategyType: "dashboard",
    name: TITLE,
    // The user's language is known only once the page is there.
    get description() {
      return texts(document.querySelector("home-assistant")?.hass?.language).description;
    },
    documentationURL: "https://github.com/jkbms/jkbms/blob/main/docs/dashboard.md",
  });
}
