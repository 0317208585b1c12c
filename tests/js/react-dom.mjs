// A page for React components to be shown on. To be imported before React is.

import { register } from "node:module";

import { JSDOM } from "jsdom";

import { WORLD } from "./support.mjs";

register("./hooks.mjs", import.meta.url);
const dom = new JSDOM("<!doctype html><div id=root></div>", { url: `${WORLD.base}/` });
Object.defineProperty(globalThis, "navigator", { value: dom.window.navigator, configurable: true });
Object.assign(globalThis, { window: dom.window, document: dom.window.document });
