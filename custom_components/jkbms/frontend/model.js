/** What there is to show, as the integration tells it, and what of it was chosen. */

import { filled } from "./texts.js";

/**
 * Packs, banks and buses with their entities by key.
 *
 * The integration knows entities by their unique ids. Entity ids may have been renamed,
 * and what the browser knows of an entity does not say which cell it is.
 */
export function described(hass) {
  return hass.callWS({ type: "jkbms/dashboard" });
}

/** The device with this id or name; throws an error that says which there are. */
function named(devices, name, words) {
  const found =
    devices.find((device) => device.device_id === name) ??
    devices.find((device) => device.name === name);
  if (!found) {
    const names = devices.map((device) => device.name).join(", ");
    throw new Error(filled(words.unknown, { name, names: names || "–" }));
  }
  return found;
}

/** The pack that an option names. */
export function chosenPack(all, option, words) {
  return named(all.packs, option, words);
}

/**
 * The banks and the packs that the options name.
 *
 * Without options these are all of them; `bank: false` is no bank. A bank that was chosen
 * brings its own packs.
 */
export function chosen(all, config, words) {
  const one = typeof config.bank === "string" && named(all.banks, config.bank, words);
  const banks = one ? [one] : config.bank === false ? [] : all.banks;
  if (config.packs) {
    return { banks, packs: config.packs.map((name) => named(all.packs, name, words)) };
  }
  return { banks, packs: one ? membersOf(one, all.packs) : all.packs };
}

/** Those of these packs that a bank is made of. */
export function membersOf(bank, packs) {
  return packs.filter((pack) => bank.packs.includes(pack.device_id));
}

/** The numbers behind a key, such as those of the cells, in their order. */
export function numbered(device, key) {
  const pattern = new RegExp(`^${key}_(\\d+)$`);
  return Object.keys(device.entities)
    .map((name) => Number(pattern.exec(name)?.[1]))
    .filter((number) => number > 0)
    .sort((one, other) => one - other);
}

/** The settings of a tier that a pack shows or lets change. */
export function settingsOf(all, pack, tier) {
  return all.settings
    .filter(([, itsTier]) => itsTier === tier)
    .map(([key]) => ({
      key,
      control: pack.entities[key],
      twin: pack.entities[`${key}_set`],
    }))
    .filter(({ control, twin }) => control || twin);
}

/** What a pack tells of its settings without a control for it. */
export function onlyShown(all, pack) {
  const offered = new Set(all.settings.map(([key]) => `${key}_set`));
  return Object.entries(pack.entities)
    .filter(([key]) => key.endsWith("_set") && !offered.has(key))
    .map(([, entity]) => entity);
}
