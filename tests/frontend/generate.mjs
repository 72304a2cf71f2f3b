/**
 * Runs the modules as a browser would, on a request read from standard input.
 *
 * usage: node generate.mjs FOLDER < {"description", "hass", "config", "kind"}
 *
 * kind: "dashboard" builds the dashboard and every view of it, as when all were opened;
 * "view" one view; "texts" the words of all languages; "registered" loads the entry point
 * twice and tells what that made known.
 */

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const load = (name) => import(new URL(name, folder));
const { description, hass, config, kind } = JSON.parse(readFileSync(0, "utf8"));

const asked = { packs: new Set(), banks: new Set(), buses: new Set() };

/** The devices, whose entities note what is asked for. */
const watched = (devices, names) =>
  devices.map((device) => ({
    ...device,
    entities: new Proxy(device.entities, {
      get(entities, key) {
        names.add(key);
        return entities[key];
      },
    }),
  }));

const fake = {
  ...hass,
  async callWS({ type }) {
    if (type !== "jkbms/dashboard") {
      throw new Error(`nobody answers ${type}`);
    }
    const answer = structuredClone(description);
    for (const [kind, names] of Object.entries(asked)) {
      answer[kind] = watched(answer[kind], names);
    }
    return answer;
  },
};

async function built() {
  const { dashboard, view } = await load("dashboard.js");
  if (kind === "view") {
    return view(config, fake);
  }
  const { views, ...rest } = await dashboard(config, fake);
  const open = async ({ strategy, ...head }) =>
    strategy ? { ...head, ...(await view(strategy, fake)) } : head;
  return { ...rest, views: await Promise.all(views.map(open)) };
}

async function registered() {
  globalThis.HTMLElement = class {};
  globalThis.window = globalThis;
  const page = { hass };
  globalThis.document = { querySelector: () => page };
  const defined = new Map();
  globalThis.customElements = {
    get: (tag) => defined.get(tag),
    define(tag, element) {
      if (defined.has(tag)) {
        throw new Error(`${tag} is there already`);
      }
      defined.set(tag, element);
    },
  };
  await load("jkbms.js");
  await load("jkbms.js?another-release");
  const strategies = globalThis.customStrategies;
  const made = {};
  for (const [tag, element] of defined) {
    made[tag] = {
      suggestions: element.getCreateSuggestions?.(),
      result: await element.generate(config, fake),
    };
  }
  return { strategies, made };
}

async function words() {
  const { LANGUAGES, texts } = await load("texts.js");
  const codes = [...LANGUAGES, ...(config.codes ?? [])];
  return Object.fromEntries(codes.map((code) => [code, texts(code)]));
}

const kinds = { dashboard: built, view: built, registered, texts: words };
let answer;
try {
  answer = { result: await kinds[kind]() };
} catch (error) {
  answer = { error: error.message };
}
const names = Object.entries(asked).map(([kind, keys]) => [kind, [...keys]]);
process.stdout.write(JSON.stringify({ ...answer, asked: Object.fromEntries(names) }));
