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

/** A list of all of these keys that the device has: names may be as long as they are. */
export function list(device, keys) {
  const entities = present(keys.map((key) => device.entities[key]));
  return entities.length
    ? {
        type: "entities",
        entities: entities.map((entity) => ({ entity, name: ENTITY_NAME })),
        grid_options: { columns: "full" },
      }
    : undefined;
}

/** The state of charge as a dial. */
export function dial(hass, entity) {
  return (
    entity && {
      type: "gauge",
      entity,
      name: nameOf(hass, entity),
      min: 0,
      max: 100,
      severity: { red: 0, yellow: 10, green: 20 },
      grid_options: { columns: 6, rows: 3 },
    }
  );
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

/** A heading within a section. */
export function subheading(text, icon) {
  return heading(text, icon, { heading_style: "subtitle" });
}

/** A badge in a heading. */
export function badge(entity, options = {}) {
  return entity && { type: "entity", entity, ...options };
}

/** Cards under a heading of their own within a section; nothing when there are none. */
export function part(head, ...cards) {
  const shown = present(cards);
  return shown.length ? [head, ...shown] : [];
}

/** A section; `undefined` when it has nothing under its heading. */
export function section(head, cards, options = {}) {
  const shown = part(head, cards);
  return shown.length ? { type: "grid", cards: shown, ...options } : undefined;
}

/** What went in and out today, in all, and on each of the last days. */
export function energySection(words, device) {
  const { energy_charged: charged, energy_discharged: discharged } = device.entities;
  const pairs = [
    [charged, words.charged],
    [discharged, words.discharged],
  ].filter(([entity]) => entity);
  return section(heading(words.energy_today, "mdi:lightning-bolt"), [
    pairs.map(([entity, name]) => ({
      type: "statistic",
      entity,
      name,
      stat_type: "change",
      period: { calendar: { period: "day" } },
    })),
    list(device, ["energy_charged", "energy_discharged"]),
    graph(pairs, 7, {
      title: words.last_days,
      chart_type: "bar",
      period: "day",
      stat_types: ["change"],
    }),
  ]);
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
        grid_options: { columns: 12 },
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

/** What a sensor says in a whole sentence, under the name of its device. */
export function sentence(entity, options = {}) {
  const name = `device_attr('${entity}', 'name_by_user') or device_attr('${entity}', 'name')`;
  return note(
    `<ha-alert alert-type="warning" title="{{ (${name}) | e }}">` +
      `{{ state_translated('${entity}') | e }}</ha-alert>`,
    options,
  );
}

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
