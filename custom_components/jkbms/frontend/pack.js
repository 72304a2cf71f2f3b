/** The view of one pack. */

import {
  badge,
  barTile,
  deviceLink,
  dial,
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
  subheading,
  tile,
  tiles,
} from "./cards.js";
import { numbered } from "./model.js";

const STATE = [
  "fine_state_of_charge",
  "remaining_energy",
  "capacity_remaining",
  "full_charge_capacity",
  "installed_capacity",
  "time_to_empty",
  "time_to_full",
  "charge_status",
  "charge_status_time",
  "state_of_health",
  "charging_cycles",
  "total_charging_cycle_capacity",
  "total_runtime",
  "modules_online",
  "modules_total",
];
const OUTPUTS = [
  "charging",
  "discharging",
  "charge_enabled",
  "discharge_enabled",
  "balancing",
  "balancing_direction",
  "heating",
  "heating_current",
  "precharging",
  "force_charge",
  "full_charge_requested",
  "heating_requested",
  "charger_requested",
  "charger_plugged",
  "pcl_module",
  "acc_on",
];
const TEMPERATURES = [
  "power_tube_temperature",
  "temperature_sensor_1",
  "temperature_sensor_2",
  "temperature_sensor_4",
  "temperature_sensor_5",
  "max_temperature",
  "min_temperature",
  "average_temperature",
];
const TEMPERATURE_PLACES = ["max_temperature_place", "min_temperature_place"];
const LIMITS = [
  "charge_voltage_limit",
  "charge_current_limit",
  "discharge_current_limit",
  "discharge_cutoff_voltage",
  "requested_charge_voltage",
  "requested_charge_current",
  "max_charge_current_set",
  "max_discharge_current_set",
];
const INSIGHT = [
  "last_full",
  "days_since_full",
  "ah_since_full",
  "rested_cell_spread",
  "top_cell_spread",
  "runaway_cell",
  "balancing_minutes_today",
  "cell_resistance_change",
  "settings_differ",
];
/** Why nothing flows, where there is a reason. */
const REASONS = ["charging_block_reason", "discharging_block_reason"];
/** What says that there is nothing to say. */
const NO_REASON = ["none", "unknown", "unavailable"];

const LOWEST = { color: "blue", icon: "mdi:arrow-down-bold" };
const HIGHEST = { color: "orange", icon: "mdi:arrow-up-bold" };
/** A balancer takes from the highest cell and gives to the lowest. */
const FED = { color: "blue", icon: "mdi:battery-arrow-up" };
const DRAINED = { color: "orange", icon: "mdi:battery-arrow-down" };
const USUAL = { color: "green", icon: "mdi:battery" };

/** Used where nobody knows the chemistry: LFP, of which nearly all packs are. */
const CELL_RANGE = [2.5, 3.65];

/** The view; with `settings`, the path of the settings of this pack, it leads there. */
export function packView(hass, words, pack, { days, settings }) {
  return {
    type: "sections",
    max_columns: 3,
    dense_section_placement: true,
    sections: present(
      stateSection(hass, words, pack, settings),
      alarmSection(words, pack),
      energySection(words, pack),
      cellSection(words, pack),
      historySection(hass, words, pack, days),
      temperatureSection(hass, words, pack, days),
      section(heading(words.limits, "mdi:gauge-full"), [list(pack, LIMITS)]),
      section(heading(words.insight, "mdi:chart-timeline-variant"), [list(pack, INSIGHT)]),
      leadSection(words, pack),
    ),
  };
}

function stateSection(hass, words, pack, settings) {
  const of = pack.entities;
  const head = heading(pack.name, "mdi:battery-high", {
    ...deviceLink(hass, pack),
    badges: present(
      badge(of.online, { color: "red", visibility: [is(of.online, "off")] }),
      settings && {
        type: "button",
        text: words.settings,
        icon: "mdi:cog",
        tap_action: open(settings),
      },
    ),
  });
  return section(head, [
    dial(hass, of.state_of_charge),
    tile(of.power, { name: words.power }),
    tile(of.current, { name: words.current }),
    tile(of.total_voltage, { name: words.voltage }),
    list(pack, STATE),
  ]);
}

/** The alarms of a pack, which are binary sensors. */
const alarmsOf = (pack) =>
  Object.entries(pack.entities)
    .filter(([key, entity]) => key.startsWith("alarm_") && entity.startsWith("binary_sensor."))
    .map(([, entity]) => entity);

/** Whether anything is wrong, what it is, and what is switched on or off because of it. */
function alarmSection(words, pack) {
  const of = pack.entities;
  const wide = { grid_options: { columns: 12 } };
  const alarms = alarmsOf(pack);
  return section(heading(words.alarms, "mdi:alert-outline"), [
    tile(of.problem, { ...wide, color: "red" }),
    alarms.length && {
      type: "entity-filter",
      entities: alarms.map((entity) => ({ entity, name: { type: "entity" } })),
      conditions: [{ condition: "state", state: "on" }],
      show_empty: false,
      card: { type: "entities", state_color: true },
      grid_options: { columns: "full" },
    },
    tile(of.warnings, {
      ...wide,
      color: "amber",
      visibility: [isNot(of.warnings, "OK", "unknown", "unavailable")],
    }),
    REASONS.map((key) =>
      tile(of[key], {
        ...wide,
        color: "amber",
        visibility: [isNot(of[key], ...NO_REASON)],
      }),
    ),
    part(subheading(words.switched, "mdi:electric-switch"), list(pack, OUTPUTS)),
  ]);
}

function cellSection(words, pack) {
  const of = pack.entities;
  const head = heading(words.cells, "mdi:battery-outline", {
    badges: present(
      badge(of.balancing_current, {
        icon: "mdi:scale-balance",
        color: "amber",
        visibility: of.balancing && [is(of.balancing, "on")],
      }),
    ),
  });
  return section(
    head,
    [
      tile(of.max_cell_voltage, { ...HIGHEST, name: words.highest }),
      tile(of.min_cell_voltage, { ...LOWEST, name: words.lowest }),
      tile(of.delta_cell_voltage, {
        name: words.difference,
        icon: "mdi:arrow-expand-vertical",
      }),
      tile(of.average_cell_voltage, { name: words.average }),
      tiles(pack, ["max_cell_voltage_place", "min_cell_voltage_place"], {
        grid_options: { columns: 12 },
      }),
      numbered(pack, "cell_voltage").map((number) => cellTiles(pack, number)),
    ],
    { column_span: 2 },
  );
}

/** A cell as a bar, once for each way it may look; the conditions let one of them show. */
function cellTiles(pack, number) {
  const of = pack.entities;
  const bar = (look, ...conditions) =>
    barTile(of[`cell_voltage_${number}`], ...(pack.cell_range ?? CELL_RANGE), {
      ...look,
      ...(conditions.length && { visibility: conditions }),
    });
  const { min_voltage_cell: lowest, max_voltage_cell: highest, balancing } = of;
  if (!lowest || !highest) {
    return bar(USUAL);
  }
  const cell = String(number);
  const looks = (resting, balanced, ...conditions) =>
    balancing
      ? [
          bar(resting, isNot(balancing, "on"), ...conditions),
          bar(balanced, is(balancing, "on"), ...conditions),
        ]
      : bar(resting, ...conditions);
  return [
    bar(USUAL, isNot(lowest, cell), isNot(highest, cell)),
    looks(LOWEST, FED, is(lowest, cell)),
    looks(HIGHEST, DRAINED, is(highest, cell), isNot(lowest, cell)),
  ];
}

/** Pairs of an entity and its name, for a graph. */
const lines = (hass, pack, keys) =>
  keys.map((key) => [pack.entities[key], nameOf(hass, pack.entities[key])]);

function historySection(hass, words, pack, days) {
  const charge = pack.entities.state_of_charge;
  return section(heading(words.history, "mdi:chart-line"), [
    graph(lines(hass, pack, ["power"]), days, { title: words.power, hide_legend: true }),
    graph(lines(hass, pack, ["state_of_charge"]), days, {
      title: nameOf(hass, charge),
      hide_legend: true,
      min_y_axis: 0,
      max_y_axis: 100,
    }),
    graph(
      [
        [pack.entities.max_cell_voltage, words.highest],
        [pack.entities.average_cell_voltage, words.average],
        [pack.entities.min_cell_voltage, words.lowest],
      ],
      days,
      { title: words.cell_voltages },
    ),
  ]);
}

function temperatureSection(hass, words, pack, days) {
  return section(heading(words.temperatures, "mdi:thermometer"), [
    list(pack, [...TEMPERATURES, ...TEMPERATURE_PLACES]),
    graph(lines(hass, pack, TEMPERATURES), days, { expand_legend: true }),
  ]);
}

function leadSection(words, pack) {
  const leads = numbered(pack, "cell_resistance").map((number) => `cell_resistance_${number}`);
  return section(heading(words.leads, "mdi:omega"), [
    list(pack, ["max_cell_resistance", "max_resistance_cell", ...leads]),
  ]);
}
