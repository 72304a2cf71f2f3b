/** The view of several packs: what is true of all, what is wrong, and a way to each. */

import {
  badge,
  barTile,
  deviceLink,
  either,
  graph,
  heading,
  is,
  isNot,
  nameOf,
  open,
  present,
  section,
  tile,
  tiles,
  today,
} from "./cards.js";

const STATE = [
  "power",
  "current",
  "remaining_energy",
  "packs_online",
  "voltage",
  "remaining_capacity",
  "total_capacity",
  "time_to_empty",
  "time_to_full",
  "packs_charging",
  "packs_discharging",
  "balancing_packs",
];
const EXTREMES = [
  "max_cell_voltage",
  "max_cell_voltage_place",
  "min_cell_voltage",
  "min_cell_voltage_place",
  "max_temperature",
  "max_temperature_place",
  "min_temperature",
  "min_temperature_place",
  "highest_state_of_charge",
  "lowest_state_of_charge",
  "delta_cell_voltage",
  "pack_voltage_spread",
  "current_sharing_error",
];
const LIMITS = ["charge_current_limit", "discharge_current_limit"];
const COLORS = { max_cell_voltage: "orange", min_cell_voltage: "blue" };

/** The view; `paths` says where the view of a pack is, by device id. */
export function overview(hass, words, { bank, packs, buses, days, paths }) {
  const title = bank?.name ?? words.overview;
  return {
    title,
    type: "sections",
    max_columns: 4,
    dense_section_placement: true,
    sections: present(
      bank && bankSection(hass, bank),
      troubleSection(words, { bank, packs, buses, paths }),
      bank &&
        section(
          heading(words.cells, "mdi:battery-outline"),
          EXTREMES.map((key) => tile(bank.entities[key], { color: COLORS[key] })),
        ),
      bank && energySection(words, bank),
      packSection(hass, words, packs, paths),
      historySection(hass, words, bank, packs, days),
    ),
  };
}

function bankSection(hass, bank) {
  const of = bank.entities;
  const charge = of.state_of_charge && {
    type: "gauge",
    entity: of.state_of_charge,
    name: nameOf(hass, of.state_of_charge),
    min: 0,
    max: 100,
    severity: { red: 0, yellow: 10, green: 20 },
    grid_options: { columns: 6, rows: 3 },
  };
  return section(heading(bank.name, "mdi:battery-high", deviceLink(hass, bank)), [
    charge,
    tiles(bank, STATE),
    tiles(bank, LIMITS),
  ]);
}

/** What is wrong, and where; without a bank it is gone while nothing is. */
function troubleSection(words, { bank, packs, buses, paths }) {
  const wrong = [];
  const when = (condition, card) => {
    wrong.push(condition);
    return { ...card, visibility: [condition] };
  };
  const wide = { color: "red", grid_options: { columns: 12 } };
  const cards = present(
    packs.map((pack) => {
      const of = pack.entities;
      const path = paths[pack.device_id];
      const link = { name: pack.name, ...(path && { tap_action: open(path) }) };
      return [
        of.problem &&
          when(
            is(of.problem, "on"),
            tile(of.errors ?? of.problem, { ...wide, ...link, icon: "mdi:alert" }),
          ),
        of.online && when(is(of.online, "off"), tile(of.online, { ...wide, ...link })),
      ];
    }),
    buses.map(({ name, entities: { health } }) => {
      const quiet = ["ok", "starting", "asleep", "unknown", "unavailable"];
      return health && when(isNot(health, ...quiet), tile(health, { ...wide, name }));
    }),
  );
  const participating = bank?.entities.pack_not_participating;
  if (participating) {
    cards.push(
      when(is(participating, "on"), tile(participating, { ...wide, color: "amber" })),
    );
  }
  const head = heading(words.alarms, "mdi:alert-outline");
  const problem = bank?.entities.problem;
  if (problem) {
    cards.unshift(
      tile(problem, {
        grid_options: { columns: 12 },
        visibility: [isNot(problem, "on")],
      }),
    );
    return section(head, cards);
  }
  return section(head, cards, { visibility: [either(...wrong)] });
}

function energySection(words, bank) {
  const of = bank.entities;
  return section(heading(words.energy, "mdi:lightning-bolt"), [
    today(of.energy_charged, words.charged_today),
    today(of.energy_discharged, words.discharged_today),
    tiles(bank, ["energy_charged", "energy_discharged"]),
  ]);
}

/** A line of each pack on a wide screen, two on a narrow one. */
function packSection(hass, words, packs, paths) {
  const row = (pack) => {
    const of = pack.entities;
    const path = paths[pack.device_id];
    const link = path && { tap_action: open(path) };
    return present(
      barTile(of.state_of_charge, 0, 100, { name: pack.name, color: "green", ...link }),
      tile(of.power, link),
      tile(of.delta_cell_voltage, link),
    );
  };
  return section(heading(words.packs, "mdi:view-list"), packs.map(row), {
    column_span: 2,
  });
}

function historySection(hass, words, bank, packs, days) {
  const each = (key) => packs.map((pack) => [pack.entities[key], pack.name]);
  const ofBank = (key) => [bank.entities[key], nameOf(hass, bank.entities[key])];
  return section(
    heading(words.history, "mdi:chart-line"),
    [
      bank
        ? graph([ofBank("power")], days, { title: words.power, hide_legend: true })
        : graph(each("power"), days, { title: words.power }),
      graph(each("state_of_charge"), days, {
        title: nameOf(hass, packs[0]?.entities.state_of_charge),
        min_y_axis: 0,
        max_y_axis: 100,
      }),
      bank &&
        graph([ofBank("max_cell_voltage"), ofBank("min_cell_voltage")], days, {
          title: words.cell_voltages,
        }),
    ],
    { column_span: 2 },
  );
}
