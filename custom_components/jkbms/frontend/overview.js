/** The view of several packs: what is true of all, what is wrong, and a way to each. */

import {
  barTile,
  deviceLink,
  dial,
  either,
  energySection,
  graph,
  heading,
  is,
  isNot,
  list,
  nameOf,
  open,
  part,
  present,
  section,
  sentence,
  subheading,
  tile,
} from "./cards.js";

const STATE = [
  "remaining_energy",
  "remaining_capacity",
  "total_capacity",
  "time_to_empty",
  "time_to_full",
  "charge_current_limit",
  "discharge_current_limit",
  "packs_total",
  "packs_charging",
  "packs_discharging",
  "balancing_packs",
  "current_sharing_error",
];
const EXTREMES = [
  "max_cell_voltage",
  "max_cell_voltage_place",
  "min_cell_voltage",
  "min_cell_voltage_place",
  "delta_cell_voltage",
  "max_temperature",
  "max_temperature_place",
  "min_temperature",
  "min_temperature_place",
  "highest_state_of_charge",
  "lowest_state_of_charge",
  "pack_voltage_spread",
];
/** States of a bus that nobody has to do anything about. */
const FINE = ["ok", "starting", "asleep", "unknown", "unavailable"];

/** The view; `paths` says where the view of a pack is, by device id. */
export function overview(hass, words, { bank, packs, buses, days, paths }) {
  return {
    type: "sections",
    max_columns: 3,
    dense_section_placement: true,
    sections: present(
      bank && bankSection(hass, words, bank),
      troubleSection(words, { bank, packs, buses, paths }),
      bank && energySection(words, bank),
      packSection(words, packs, paths),
      historySection(hass, words, bank, packs, days),
    ),
  };
}

function bankSection(hass, words, bank) {
  const of = bank.entities;
  return section(heading(bank.name, "mdi:battery-high", deviceLink(hass, bank)), [
    dial(hass, of.state_of_charge),
    tile(of.power, { name: words.power }),
    tile(of.current, { name: words.current }),
    of.voltage ? tile(of.voltage, { name: words.voltage }) : tile(of.packs_online),
    list(bank, of.voltage ? ["packs_online", ...STATE] : STATE),
  ]);
}

/**
 * What is wrong and where, and between which extremes the cells are.
 *
 * Without a bank it is not there while nothing is wrong.
 */
function troubleSection(words, { bank, packs, buses, paths }) {
  const conditions = [];
  const when = (condition, show, entity, options) => {
    conditions.push(condition);
    return show(entity, { visibility: [condition], ...options });
  };
  const red = { color: "red", grid_options: { columns: 12 } };
  const { problem, pack_not_participating: apart } = bank?.entities ?? {};
  const cards = present(
    tile(problem, { grid_options: { columns: 12 }, visibility: [isNot(problem, "on")] }),
    packs.map(({ name, device_id: id, entities: of }) => {
      const link = { ...red, name, ...(paths[id] && { tap_action: open(paths[id]) }) };
      return [
        of.problem &&
          when(is(of.problem, "on"), tile, of.errors ?? of.problem, {
            ...link,
            icon: "mdi:alert",
          }),
        of.online && when(is(of.online, "off"), tile, of.online, link),
      ];
    }),
    apart && when(is(apart, "on"), tile, apart, { ...red, color: "amber" }),
    buses.map(
      ({ entities: { health } }) => health && when(isNot(health, ...FINE), sentence, health),
    ),
  );
  return section(
    heading(words.alarms, "mdi:alert-outline"),
    [
      cards,
      bank &&
        part(subheading(words.extremes, "mdi:arrow-expand-vertical"), list(bank, EXTREMES)),
    ],
    bank ? {} : { visibility: [either(...conditions)] },
  );
}

/** A line of each pack on a wide screen, two on a narrow one. */
function packSection(words, packs, paths) {
  return section(
    heading(words.packs, "mdi:view-list"),
    packs.map(({ name, device_id: id, entities: of }) => {
      const link = paths[id] && { tap_action: open(paths[id]) };
      return [
        barTile(of.state_of_charge, 0, 100, { name, color: "green", ...link }),
        tile(of.power, { name: words.power, ...link }),
        tile(of.delta_cell_voltage, {
          name: words.spread,
          icon: "mdi:arrow-expand-vertical",
          ...link,
        }),
      ];
    }),
    { column_span: 2 },
  );
}

function historySection(hass, words, bank, packs, days) {
  const each = (key) => packs.map((pack) => [pack.entities[key], pack.name]);
  const charge = packs.map((pack) => pack.entities.state_of_charge).find(Boolean);
  const of = bank?.entities;
  return section(heading(words.history, "mdi:chart-line"), [
    of
      ? graph([[of.power, words.power]], days, { title: words.power, hide_legend: true })
      : graph(each("power"), days, { title: words.power }),
    graph(each("state_of_charge"), days, {
      title: nameOf(hass, charge),
      min_y_axis: 0,
      max_y_axis: 100,
    }),
    of &&
      graph(
        [
          [of.max_cell_voltage, words.highest],
          [of.min_cell_voltage, words.lowest],
        ],
        days,
        { title: words.cell_voltages },
      ),
  ]);
}
