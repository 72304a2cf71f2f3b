/** Puts the views together. */

import { note } from "./cards.js";
import { chosen, chosenPack, described, membersOf } from "./model.js";
import { overview } from "./overview.js";
import { packView } from "./pack.js";
import { allSettings, hasSettings, packSettings } from "./settings.js";
import { texts } from "./texts.js";

const TYPE = "custom:jkbms";
/** Tabs that a screen has room for; with more packs the overview leads to them. */
const MOST_TABS = 8;
const DAYS = 1;

/** A view that is built when it is opened. */
const later = (title, path, strategy, options) => ({
  title,
  path,
  strategy: { type: TYPE, ...strategy },
  ...options,
});

/** The dashboard: overviews, a view of each pack, settings. */
export async function dashboard(config, hass) {
  const words = texts(hass.language);
  const all = await described(hass);
  const { banks, packs } = chosen(all, config, words);
  if (!packs.length) {
    return { views: [{ title: words.overview, cards: [note(words.nothing)] }] };
  }
  const days = config.days ?? DAYS;
  const settable = config.settings === false ? [] : packs.filter((pack) => hasSettings(all, pack));
  const ids = (some) => some.map((pack) => pack.device_id);
  const paths = Object.fromEntries(ids(packs).map((id) => [id, `pack-${id}`]));
  const settingPaths = Object.fromEntries(ids(settable).map((id) => [id, `settings-${id}`]));

  const single = packs.length === 1 && !banks.length;
  const overviews = single
    ? []
    : banks.length > 1
      ? banks.map((bank) =>
          later(bank.name, `bank-${bank.device_id}`, {
            view: "overview",
            bank: bank.device_id,
            packs: ids(membersOf(bank, packs)),
            days,
            paths,
          }),
        )
      : [
          later(words.overview, "overview", {
            view: "overview",
            bank: banks[0]?.device_id ?? false,
            packs: ids(packs),
            days,
            paths,
          }),
        ];
  const subview = packs.length > MOST_TABS;
  const views = packs.map((pack) =>
    later(
      pack.name,
      paths[pack.device_id],
      { view: "pack", pack: pack.device_id, days, settings: settingPaths[pack.device_id] },
      { subview },
    ),
  );
  return { views: [...overviews, ...views, ...settingViews(words, settable, settingPaths)] };
}

function settingViews(words, packs, paths) {
  const each = (pack, options) =>
    later(
      `${pack.name}: ${words.settings}`,
      paths[pack.device_id],
      { view: "settings", pack: pack.device_id },
      options,
    );
  if (packs.length === 1) {
    return [{ ...each(packs[0]), title: words.settings }];
  }
  if (!packs.length) {
    return [];
  }
  const ids = packs.map((pack) => pack.device_id);
  return [
    later(words.settings, "settings", { view: "settings", packs: ids, paths }),
    ...packs.map((pack) => each(pack, { subview: true })),
  ];
}

/** One view; of a pack where one is named, else of all. */
export async function view(config, hass) {
  const words = texts(hass.language);
  const all = await described(hass);
  const days = config.days ?? DAYS;
  const paths = config.paths ?? {};
  if (config.pack) {
    const pack = chosenPack(all, config.pack, words);
    return config.view === "settings"
      ? packSettings(hass, words, all, pack)
      : packView(hass, words, pack, { days, settings: config.settings });
  }
  const { banks, packs } = chosen(all, config, words);
  return config.view === "settings"
    ? allSettings(hass, words, all, packs, paths)
    : overview(hass, words, { bank: banks[0], packs, buses: all.buses, days, paths });
}
