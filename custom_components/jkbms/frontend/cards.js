/**
 * Cards of Home Assistant, as the views use them.
 *
 * What is made for an entity that is not there is `undefined`; lists leave it out.
 */

/** The parts that exist. */
export const present = (...parts) => parts.flat(Infinity).filter(Boolean);

const ENTITY_NAME = { type: "entity" };

/** The name of an entity without that of its device, as text. */
export function nameOf(hass, entity) {
  return hass.entities[entity]?.name ?? hass.states[entity]?.attributes.friendly_name ?? entity;
}

/** A tile; half as wide as a section unless told. */
export function tile(entity, options = {}) {
  return entity && { type: "tile", entity, name: ENTITY_NAME, ...options };
}

/** A tile for each of these keys that the device has. */
export function tiles(device, keys, options = {}) {
  return present(keys.map((key) => tile(device.entities[key], options)));
}

/** A tile as wide as a section, with the value as a bar. */
export function barTile(entity, min, max, options = {}) {
  return tile(entity, {
    features: [{ type: "bar-gauge", min, max }],
    features_position: "inline",
    grid_options: { columns: 12 },
    ...options,
  });
}

export function heading(text, icon, options = {}) {
  return { type: "heading", heading: text, icon, ...options };
}

/** A badge in a heading. */
export function badge(entity, options = {}) {
  return entity && { type: "entity", entity, ...options };
}

/** A section; `undefined` when it has nothing under its heading. */
export function section(head, cards, options = {}) {
  const shown = present(cards);
  return shown.length ? { type: "grid", cards: [head, ...shown], ...options } : undefined;
}

/** How much was added to a counter since midnight. */
export function today(entity, name) {
  return (
    entity && {
      type: "statistic",
      entity,
      name,
      stat_type: "change",
      period: { calendar: { period: "day" } },
    }
  );
}

/**
 * A graph from the statistics, of pairs of entity and name.
 *
 * Statistics are five minutes apart. The states of a battery are seconds apart: a day of
 * them is megabytes.
 */
export function graph(entities, days, options = {}) {
  const shown = entities.filter(([entity]) => entity);
  return shown.length
    ? {
        type: "statistics-graph",
        chart_type: "line",
        days_to_show: days,
        period: days > 3 ? "hour" : "5minute",
        stat_types: ["mean"],
        entities: shown.map(([entity, name]) => ({ entity, name })),
        grid_options: { columns: "full" },
        ...options,
      }
    : undefined;
}

export const note = (content, options = {}) => ({
  type: "markdown",
  content,
  text_only: true,
  grid_options: { columns: "full" },
  ...options,
});

// -- conditions -----------------------------------------------------------------------

export const is = (entity, ...states) => ({ condition: "state", entity, state: states });
export const isNot = (entity, ...states) => ({
  condition: "state",
  entity,
  state_not: states,
});
export const either = (...conditions) => ({ condition: "or", conditions });

// -- actions --------------------------------------------------------------------------

export const open = (path) => ({ action: "navigate", navigation_path: path });

/** What leads to the page of a device; only administrators may see it. */
export function deviceLink(hass, device) {
  return hass.user?.is_admin
    ? { tap_action: open(`/config/devices/device/${device.device_id}`) }
    : {};
}
