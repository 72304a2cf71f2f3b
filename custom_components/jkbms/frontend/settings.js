/** The views of settings: of one pack all of them, of several what is switched every day. */

import {
  deviceLink,
  heading,
  is,
  isNot,
  nameOf,
  note,
  open,
  part,
  present,
  section,
  subheading,
  tile,
} from "./cards.js";
import { onlyShown, settingsOf } from "./model.js";
import { filled } from "./texts.js";

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
  const asked = asking(hass, words, pack);
  const sections = present(
    section(heading(words.everyday, "mdi:tune", deviceLink(hass, pack)), [
      locked(words, everyday),
      switches(everyday, asked),
      everyday
        .filter(({ key }) => !SWITCHES.includes(key))
        .map((one) => shownOrSet(one, asked, WIDE)),
    ]),
    section(heading(words.protection, "mdi:shield-outline"), [
      locked(words, protection),
      protection.map((one) => shownOrSet(one, asked, WIDE)),
    ]),
    section(heading(words.actions, "mdi:gesture-tap-button"), [
      ACTIONS.map((key) => pressed(hass, pack, pack.entities[key])),
      part(
        subheading(words.shown, "mdi:eye-outline"),
        onlyShown(all, pack).map((entity) => tile(entity, WIDE)),
      ),
    ]),
  );
  return view(words, sections);
}

/** What is switched every day, of several packs, and a way to the rest. */
export function allSettings(hass, words, all, packs, paths) {
  const sections = packs.map((pack) => {
    const path = paths[pack.device_id];
    return section(
      heading(pack.name, "mdi:battery-high", path && { tap_action: open(path) }),
      switches(settingsOf(all, pack, "everyday"), asking(hass, words, pack)),
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

function switches(settings, asked) {
  return SWITCHES.map((key) => {
    const found = settings.find((setting) => setting.key === key);
    return found && shownOrSet(found, asked);
  });
}

/** The control while it can be used, else what the pack says the setting is. */
function shownOrSet({ control, twin }, asked, options) {
  const set = control && { ...options, ...asked(control) };
  if (!control || !twin) {
    return tile(control ?? twin, set ?? options);
  }
  return [
    tile(control, { ...set, visibility: [isNot(control, "unavailable")] }),
    tile(twin, { ...options, visibility: [is(control, "unavailable")] }),
  ];
}

/**
 * What makes the switches of a pack ask before they switch with a tap: they can cut the
 * current, and several packs look alike.
 *
 * Numbers and choices are changed in the dialog of their entity.
 */
function asking(hass, words, pack) {
  return (control) => {
    if (!control.startsWith("switch.")) {
      return {};
    }
    const text = filled(words.confirm, { name: nameOf(hass, control), pack: pack.name });
    const action = { action: "toggle", confirmation: { text } };
    return { tap_action: action, icon_tap_action: action, hold_action: { action: "more-info" } };
  };
}

/** A button that asks before it is pressed; it has no state worth showing. */
function pressed(hass, pack, entity) {
  const action = {
    action: "perform-action",
    perform_action: "button.press",
    target: { entity_id: entity },
    confirmation: { text: `${pack.name}: ${nameOf(hass, entity)}?` },
  };
  return tile(entity, {
    hide_state: true,
    tap_action: action,
    icon_tap_action: action,
    visibility: [isNot(entity, "unavailable")],
  });
}
