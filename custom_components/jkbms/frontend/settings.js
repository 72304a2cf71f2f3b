/** The views of settings: of one pack all of them, of several what is switched every day. */

import { deviceLink, heading, is, isNot, note, open, present, section, tile } from "./cards.js";
import { onlyShown, settingsOf } from "./model.js";

const SWITCHES = ["charging_switch", "discharging_switch", "balancer", "heater"];
const ACTIONS = ["refresh_settings", "sync_clock"];
const NAME = { type: "entity" };

/** Whether there is anything to show of the settings of a pack. */
export function hasSettings(all, pack) {
  return ["everyday", "protection"].some((tier) => settingsOf(all, pack, tier).length);
}

/** All settings of a pack, by how much harm a wrong one can do. */
export function packSettings(hass, words, all, pack) {
  const everyday = settingsOf(all, pack, "everyday");
  const rest = onlyShown(all, pack);
  return {
    title: words.settings,
    type: "sections",
    max_columns: 3,
    sections: present(
      section(heading(pack.name, "mdi:battery-high", deviceLink(hass, pack)), [
        heading(words.everyday, "mdi:tune", { heading_style: "subtitle" }),
        locked(words, everyday),
        switches(everyday),
        list(everyday.filter(({ key }) => !SWITCHES.includes(key))),
      ]),
      tierSection(words, words.protection, "mdi:shield-outline", settingsOf(all, pack, "protection")),
      section(heading(words.shown, "mdi:eye-outline"), [
        rest.length && {
          type: "entities",
          entities: rest.map((entity) => ({ entity, name: NAME })),
          grid_options: { columns: "full" },
        },
      ]),
      section(
        heading(words.actions, "mdi:gesture-tap-button"),
        ACTIONS.map((key) => tile(pack.entities[key])),
      ),
    ),
  };
}

/** What is switched every day, of several packs, and a way to the rest. */
export function allSettings(hass, words, all, packs, paths) {
  return {
    title: words.settings,
    icon: "mdi:cog",
    type: "sections",
    max_columns: 4,
    sections: present(
      packs.map((pack) => {
        const everyday = settingsOf(all, pack, "everyday");
        const path = paths[pack.device_id];
        const head = heading(pack.name, "mdi:battery-high", path && { tap_action: open(path) });
        return section(head, [switches(everyday)]);
      }),
    ),
  };
}

function tierSection(words, title, icon, settings) {
  return section(heading(title, icon), [locked(words, settings), list(settings)]);
}

/** Says how to open settings, while their controls are closed though the pack answers. */
function locked(words, settings) {
  const both = settings.find(({ control, twin }) => control && twin);
  return (
    both &&
    note(words.locked, {
      visibility: [is(both.control, "unavailable"), isNot(both.twin, "unavailable")],
    })
  );
}

/** Tiles that ask before they switch. */
function switches(settings) {
  return SWITCHES.map((key) => {
    const found = settings.find((setting) => setting.key === key);
    return (
      found &&
      shownOrSet(
        found,
        (entity, visibility) =>
          tile(entity, {
            visibility,
            tap_action: { action: "toggle", confirmation: true },
            icon_tap_action: { action: "toggle", confirmation: true },
            hold_action: { action: "more-info" },
          }),
        (entity, visibility) => tile(entity, { visibility }),
      )
    );
  });
}

/** The control while it can be used, else what the pack says the setting is. */
function shownOrSet({ control, twin }, set, show) {
  if (!control) {
    return show(twin);
  }
  if (!twin) {
    return set(control);
  }
  return [
    set(control, [isNot(control, "unavailable")]),
    show(twin, [is(control, "unavailable")]),
  ];
}

function list(settings) {
  const row = (entity) => ({ entity, name: NAME });
  const conditional = (entity, conditions) =>
    conditions ? { type: "conditional", conditions, row: row(entity) } : row(entity);
  const rows = present(
    settings.map((setting) => shownOrSet(setting, conditional, conditional)),
  );
  return rows.length
    ? { type: "entities", entities: rows, grid_options: { columns: "full" } }
    : undefined;
}
