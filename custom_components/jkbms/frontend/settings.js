/** The views of settings: of one pack all of them, of several what is switched every day. */

import { deviceLink, heading, is, isNot, note, open, part, present, section, subheading, tile } from "./cards.js";
import { onlyShown, settingsOf } from "./model.js";

const SWITCHES = ["charging_switch", "discharging_switch", "balancer", "heater"];
const ACTIONS = ["refresh_settings", "sync_clock"];
const WIDE = { grid_options: { columns: 12 } };

/** Whether there is anything to show of the settings of a pack. */
export function hasSettings(all, pack) {
  return ["everyday", "protection"].some((tier) => settingsOf(all, pack, tier).length);
}

/** All settings of a pack, by how much harm a wrong one can do. */
export function packSettings(hass, words, all, pack) {
  const everyday = settingsOf(all, pack, "everyday");
  const protection = settingsOf(all, pack, "protection");
  const sections = present(
    section(heading(words.everyday, "mdi:tune", deviceLink(hass, pack)), [
      locked(words, everyday),
      switches(everyday),
      everyday.filter(({ key }) => !SWITCHES.includes(key)).map((one) => shownOrSet(one, WIDE)),
    ]),
    section(heading(words.protection, "mdi:shield-outline"), [
      locked(words, protection),
      protection.map((one) => shownOrSet(one, WIDE)),
    ]),
    section(heading(words.actions, "mdi:gesture-tap-button"), [
      ACTIONS.map((key) => pressed(pack.entities[key])),
      part(
        subheading(words.shown, "mdi:eye-outline"),
        onlyShown(all, pack).map((entity) => tile(entity, WIDE)),
      ),
    ]),
  );
  return view(words, sections);
}

/** What is switched every day, of several packs, and a way to the rest. */
export function allSettings(words, all, packs, paths) {
  const sections = packs.map((pack) => {
    const path = paths[pack.device_id];
    return section(
      heading(pack.name, "mdi:battery-high", path && { tap_action: open(path) }),
      switches(settingsOf(all, pack, "everyday")),
    );
  });
  return view(words, present(sections));
}

const view = (words, sections) => ({
  type: "sections",
  max_columns: 3,
  sections: sections.length
    ? sections
    : [{ type: "grid", cards: [note(words.no_settings)] }],
});

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

function switches(settings) {
  return SWITCHES.map((key) => {
    const found = settings.find((setting) => setting.key === key);
    return found && shownOrSet(found);
  });
}

/** The control while it can be used, else what the pack says the setting is. */
function shownOrSet({ control, twin }, options) {
  const set = control && { ...options, ...asking(control) };
  if (!control || !twin) {
    return tile(control ?? twin, set ?? options);
  }
  return [
    tile(control, { ...set, visibility: [isNot(control, "unavailable")] }),
    tile(twin, { ...options, visibility: [is(control, "unavailable")] }),
  ];
}

/**
 * A switch is switched with a tap, and only after a question: it can cut the current.
 *
 * Numbers and choices are changed in the dialog of their entity.
 */
function asking(control) {
  if (!control.startsWith("switch.")) {
    return {};
  }
  const action = { action: "toggle", confirmation: true };
  return { tap_action: action, icon_tap_action: action, hold_action: { action: "more-info" } };
}

/** A button that asks before it is pressed; it has no state worth showing. */
function pressed(entity) {
  const action = {
    action: "perform-action",
    perform_action: "button.press",
    target: { entity_id: entity },
    confirmation: true,
  };
  return tile(entity, {
    hide_state: true,
    tap_action: action,
    icon_tap_action: action,
    visibility: [isNot(entity, "unavailable")],
  });
}
