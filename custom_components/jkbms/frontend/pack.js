/** The view of one pack. */

import {
  badge,
  barTile,
  deviceLink,

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
import { numbered } from "./model.js";

const STATE = [
  "power",
  "current",
  "total_voltage",
  "fine_state_of_charge",
  "remaining_energy",
  "capacity_remaining",
  "full_charge_capacity",
  "installed_capacity",
  "time_to_empty",
  "time_to_full",
  "charge_status",
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
  "force_charge",
  "full_charge_requested",
  "balancing",
  "precharging",
  "heating",
  "heating_requested",
  "charger_plugged",
  "charger_requested",
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
  "max_temperature_place",
  "min_temperature_place",
  "heating_current",
];
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

/** The alarms of a pack, which are binary sensors. */
const alarmsOf = (pack) =>
  Object.entries(pack.entities)
    .filter(([key, entity]) => key.startsWith("alarm_") && entity.startsWith("binary_sensor."))
    .map(([, entity]) => entity);

/** The view; with `settings`, the path of the settings of this pack, it leads there. */
export function packView(hass, words, pack, { days, settings }) {
  const of = pack.entities;
  return {
    title: pack.name,
    type: "sections",
    max_columns: 4,
    dense_section_placement: true,
    sections: present(
      stateSection(hass, words, pack, settings),
      alarmSection(words, pack),
      section(heading(words.switched, "mdi:electric-switch"), [
        tiles(pack, OUTPUTS),
        REASONS.map((key) =>
          tile(of[key], {
            color: "amber",
            grid_options: { columns: 12 },
            visibility: [isNot(of[key], ...NO_REASON)],
          }),
        ),
      ]),
      cellSection(words, pack),
      historySection(hass, words, pack, days),
      section(heading(words.temperatures, "mdi:thermometer"), [
        tiles(pack, TEMPERATURES),
        graph(
          ["power_tube_temperature", "min_temperature", "max_temperature"]
            .concat([1, 2, 4, 5].map((number) => `temperature_sensor_${number}`))
            .map((key) => [of[key], nameOf(hass, of[key])]),
          days,
        ),
      ]),
      section(heading(words.energy, "mdi:lightning-bolt"), [
        today(of.energy_charged, words.charged_today),
        today(of.energy_discharged, words.discharged_today),
        tiles(pack, ["energy_charged", "energy_discharged"]),
      ]),
      section(heading(words.limits, "mdi:gauge-full"), tiles(pack, LIMITS)),
      section(heading(words.insight, "mdi:chart-timeline-variant"), tiles(pack, INSIGHT)),
      leadSection(words, pack),
    ),
  };
}

function stateSection(hass, words, pack, settings) {
  const of = pack.entities;
  const head = heading(pack.name, "mdi:battery-high", {
    ...deviceLink(hass, pack),
    badges: present(
      badge(of.online, { show_state: true, visibility: [isNot(of.online, "on")] }),
      settings && {
        type: "button",
        text: words.settings,
        icon: "mdi:cog",
        tap_action: open(settings),
      },
    ),
  });
  const charge = of.state_of_charge && {
    type: "gauge",
    entity: of.state_of_charge,
    name: nameOf(hass, of.state_of_charge),
    min: 0,
    max: 100,
    severity: { red: 0, yellow: 10, green: 20 },
    grid_options: { columns: 6, rows: 3 },
  };
  return section(head, [charge, tiles(pack, STATE)]);
}

function alarmSection(words, pack) {
  const of = pack.entities;
  const alarms = alarmsOf(pack);
  return section(heading(words.alarms, "mdi:alert-outline"), [
    tile(of.problem, {
      grid_options: { columns: 12 },
      visibility: [isNot(of.problem, "on")],
    }),
    tile(of.problem, {
      color: "red",
      grid_options: { columns: 12 },
      visibility: [is(of.problem, "on")],
    }),
    alarms.length && {
      type: "entity-filter",
      entities: alarms.map((entity) => ({ entity, name: { type: "entity" } })),
      conditions: [{ condition: "state", state: "on" }],
      show_empty: false,
      card: { type: "entities", state_color: true },
      grid_options: { columns: "full" },
    },
    tile(of.warnings, {
      color: "amber",
      grid_options: { columns: 12 },
      visibility: [isNot(of.warnings, "OK", "unknown", "unavailable")],
    }),
  ]);
}

function cellSection(words, pack) {
  const of = pack.entities;
  const cells = numbered(pack, "cell_voltage");
  const head = heading(words.cells, "mdi:battery-outline", {
    badges: present(
      badge(of.balancing_current, {
        icon: "mdi:scale-balance",
        color: "amber",
        visibility: of.balancing && [is(of.balancing, "on")],
      }),
      badge(of.delta_cell_voltage, { icon: "mdi:arrow-expand-vertical" }),
    ),
  });
  const extremes = tiles(
    pack,
    ["delta_cell_voltage", "average_cell_voltage"],
    cells.length > 2 ? {} : { visibility: undefined },
  );
  return section(
    head,
    [
      tile(of.max_cell_voltage, HIGHEST),
      tile(of.min_cell_voltage, LOWEST),
      extremes,
      tiles(pack, ["max_cell_voltage_place", "min_cell_voltage_place"]),
      tiles(pack, ["balancing_current", "balancing_direction"]),
      cells.map((number) => cellTiles(pack, number)),
    ],
    cells.length > 2 ? { column_span: 2 } : {},
  );
}

/** A cell as a bar, once for each way it may look; the conditions let one of them show. */
function cellTiles(pack, number) {
  const of = pack.entities;
  const entity = of[`cell_voltage_${number}`];
  const bar = (look, ...conditions) =>
    barTile(entity, ...(pack.cell_range ?? CELL_RANGE), {
      ...look,
      visibility: conditions.length ? conditions : undefined,
    });
  const { min_voltage_cell: lowest, max_voltage_cell: highest, balancing } = of;
  if (!lowest || !highest) {
    return bar(USUAL);
  }
  const cell = String(number);
  const looks = (plain, balanced, ...conditions) =>
    balancing
      ? [
          bar(plain, isNot(balancing, "on"), ...conditions),
          bar(balanced, is(balancing, "on"), ...conditions),
        ]
      : [bar(plain, ...conditions)];
  return [
    bar(USUAL, isNot(lowest, cell), isNot(highest, cell)),
    looks(LOWEST, FED, is(lowest, cell)),
    looks(HIGHEST, DRAINED, is(highest, cell), isNot(lowest, cell)),
  ];
}

function historySection(hass, words, pack, days) {
  const of = pack.entities;
  const named = (key) => [of[key], nameOf(hass, of[key])];
  return section(
    heading(words.history, "mdi:chart-line"),
    [
      graph([named("power")], days, { title: words.power, hide_legend: true }),
      graph([named("state_of_charge")], days, {
        title: nameOf(hass, of.state_of_charge),
        hide_legend: true,
        min_y_axis: 0,
        max_y_axis: 100,
      }),
      graph(
        ["max_cell_voltage", "average_cell_voltage", "min_cell_voltage"].map(named),
        days,
        { title: words.cell_voltages },
      ),
    ],
    { column_span: 2 },
  );
}

function leadSection(words, pack) {
  const leads = numbered(pack, "cell_resistance").map((number) => `cell_resistance_${number}`);
  return section(heading(words.leads, "mdi:omega"), [
    tiles(pack, ["max_cell_resistance", "max_resistance_cell"]),
    tiles(pack, leads),
  ]);
}
