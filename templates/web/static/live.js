// Keeps an unfinished experiment's page up to date: the log every second, everything else every five.
// Without it the page works as well: it then loads itself again.
"use strict";
(() => {
  const MOST = 2_000_000; // characters of log kept in the page
  const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

  async function followLog(log) {
    const [lines, partial] = log.children;
    let from = log.dataset.from;
    for (let wait = 1; ; ) {
      await pause(document.hidden ? 5 : wait);
      try {
        const answer = await fetch(`${log.dataset.url}&from=${from}`);
        if (!answer.ok) throw new Error(answer.statusText);
        const part = await answer.json();
        const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 30;
        lines.textContent = (lines.textContent + part.lines).slice(-MOST);
        partial.textContent = part.partial;
        if (isAtEnd) log.scrollTop = log.scrollHeight;
        const hasMore = String(part.end) !== String(from);
        from = part.end;
        if (part.is_complete && !hasMore) return;
        wait = hasMore ? 1 : 2;
      } catch {
        wait = Math.min(wait * 2, 30); // the bot restarts, or the token was withdrawn
      }
    }
  }

  async function followPage() {
    let took = 0; // seconds: a page that costs the bot much is asked for less often
    while (document.querySelector("[data-live]")) {
      await pause(Math.max(document.hidden ? 15 : 5, took * 20));
      try {
        const began = performance.now();
        const answer = await fetch(location.href);
        if (!answer.ok) continue;
        took = (performance.now() - began) / 1000;
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (!document.getElementById("log") && fresh.getElementById("log")) return location.reload();
        for (const part of document.querySelectorAll("[data-part]")) {
          const now = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
          if (now) part.replaceWith(document.adoptNode(now));
        }
      } catch {
        // the bot restarts: the next look will tell
      }
    }
  }

  const log = document.getElementById("log");
  if (log) log.scrollTop = log.scrollHeight;
  if (log && "follow" in log.dataset) followLog(log);
  followPage();
})();
