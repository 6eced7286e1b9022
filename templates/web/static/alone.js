// For pages that a run serves. They have an origin that nothing else has, so browsers give them no storage, no cookies
// and no workers from addresses; here are some that end with the page. Loaded before anything of the page's own.
"use strict";
(() => {
  const isRefused = (ask) => { try { ask(); return false; } catch { return true; } };

  const methods = {
    getItem(key) { return Object.hasOwn(this, key) ? this[key] : null; },
    setItem(key, value) { this[key] = String(value); },
    removeItem(key) { delete this[key]; },
    clear() { for (const key of Object.keys(this)) delete this[key]; },
    key(index) { return Object.keys(this)[index] ?? null; },
    get length() { return Object.keys(this).length; },
  };
  for (const name of ["localStorage", "sessionStorage"]) {
    if (isRefused(() => window[name])) Object.defineProperty(window, name, { value: Object.create(methods) });
  }
  if (isRefused(() => document.cookie)) Object.defineProperty(document, "cookie", { get: () => "", set() {} });

  const Given = window.Worker;
  window.Worker = class Worker extends Given {
    constructor(address, options) {
      const whole = String(new URL(address, document.baseURI));
      if (!/^https?:/.test(whole)) return new Given(address, options);
      const load = options?.type === "module" ? "import" : "importScripts";
      const code = `${load}(${JSON.stringify(whole)});`;
      super(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), options);
    }
  };
})();
