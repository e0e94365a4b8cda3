(() => {
  "use strict";
  const ENDED = "This page's session has ended, so it no longer follows you. What you see stays until you start again.";
  const SILENT = "lens does not answer: it was stopped, or the connection is lost. The page goes on by itself if it comes back.";
  const SLOW = "lens takes long to show itself: its machine may be busy. It goes on by itself; starting again helps if it does not.";
  const STUCK = "Nothing has come from lens for a while. It may have been stopped; starting again often helps.";
  const OUTPUT = 'script[type="application/vnd.voila.cell-output+json"]';
  const LOOK_EVERY = 4000; // milliseconds, as below
  const BUSY_WAIT = 12000;
  const LONGEST_ADDRESS = 32000; // servers refuse headers beyond 64 KB
  const LONGEST_WAIT = 30000; // the server gives a sign every ten seconds

  const byId = (id) => document.getElementById(id);
  const config = () => JSON.parse(byId("jupyter-config-data").textContent);
  const notice = byId("page-notice");
  let finished = false;
  let slow = false; // the page is whole, but shows nothing yet
  let ended = false;

  const say = (words) => {
    notice.querySelector("p").textContent = words;
    notice.hidden = false;
  };

  // Widgets read these two to know whether the page is light or dark.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    document.body.dataset.jpThemeLight = String(!dark.matches);
    document.body.dataset.jpThemeName = dark.matches ? "JupyterLab Dark" : "JupyterLab Light";
  };
  follow();
  dark.addEventListener("change", follow);

  // Jupyter asks once which kernel the page has. If that fails, or a proxy answers it in place of a lens that is slow, the
  // page has no widgets for good. So it is asked again; meanwhile the page says that lens does not answer.
  const ask = window.fetch.bind(window);
  const passing = (answer) => !answer || [502, 503, 504].includes(answer.status);
  window.fetch = async (question, ...rest) => {
    if (question.method !== "GET" || !question.url.includes("/api/kernels/")) return ask(question, ...rest);
    let answer;
    while (passing((answer = await ask(question.clone(), ...rest).catch(() => null)))) {
      question.signal.throwIfAborted(); // whoever asked waits no more
      await new Promise((then) => setTimeout(then, LOOK_EVERY));
    }
    return answer;
  };

  // A widget hears its kernel only once its class has come; what the kernel says to it before then would be lost, and the
  // page would never follow it. So it is kept, and said again to the widget once it is there.
  const keepEarly = (manager) => {
    const { kernel } = manager;
    const create = kernel.createComm.bind(kernel);
    kernel.createComm = (target, ...rest) => {
      const comm = create(target, ...rest);
      if (target !== manager.comm_target_name) return comm;
      const early = [];
      let asks; // the manager itself, while it asks each widget for its state
      Object.defineProperty(comm, "onMsg", {
        configurable: true,
        get: () => (message) => {
          early.push(message);
          return asks?.(message);
        },
        set: (handler) => {
          if (!manager.has_model(comm.commId)) return void (asks = handler);
          delete comm.onMsg;
          comm.onMsg = handler;
          queueMicrotask(() => early.forEach((message) => handler(message)));
        },
      });
      return comm;
    };
  };
  let app;
  Object.defineProperty(window, "jupyterapp", {
    get: () => app,
    set: (made) => {
      app = made;
      app.widgetManagerPromise.promise.then(keepEarly);
    },
  });

  // The skeleton stays until something of the notebook can be seen in its place; for a little longer if that says
  // that it is busy, so that its first answer comes along with it.
  const outputs = () => [...byId("rendered_cells").querySelectorAll(".jp-OutputArea-output")];
  const awaited = () =>
    byId("rendered_cells").querySelector(OUTPUT) !== null || outputs().some((output) => output.textContent === "Loading widget...");
  const visible = () => {
    if (byId("rendered_cells").querySelector(".page-failed")) return true;
    return !awaited() && (!outputs().length || outputs().some((output) => output.offsetHeight > 0));
  };
  const busy = () => byId("rendered_cells").querySelector('[aria-busy="true"]') !== null;
  const reveal = (since, calm) => {
    const waited = Date.now() - since;
    const now = visible() && (!busy() || waited > BUSY_WAIT) ? calm + 1 : 0;
    if (now < 5 && waited < LONGEST_WAIT) return setTimeout(reveal, 50, since, now);
    document.body.classList.remove("page-waiting");
    hearRestarts();
    stall();
  };
  const stall = () => {
    if (ended) return;
    const before = slow;
    slow = awaited();
    if (slow) say(SLOW);
    else if (before) notice.hidden = true;
    if (slow) setTimeout(stall, 500);
  };

  // Voilà calls these while it sends the page: at each cell, while a cell is slow, and after the last one.
  // When it breaks off in between, the browser goes on waiting for ever, and no event tells.
  let heard = Date.now();
  const hear = () => { heard = Date.now(); };
  window.voila_process = hear;
  window.voila_heartbeat = hear;
  window.voila_finish = () => {
    if (finished) return;
    finished = true;
    reveal(Date.now(), 0);
  };
  const listen = () => {
    if (finished) return;
    if (Date.now() - heard > LONGEST_WAIT) say(STUCK);
    setTimeout(listen, LOOK_EVERY);
  };
  listen();
  addEventListener("load", () => {
    notice.hidden = true;
    if (!document.querySelector(".page-failed")) watch();
  });

  // Voilà frees the kernel on `beforeunload`, which phones and quick closings leave out; `pagehide` comes always.
  let freed = false;
  addEventListener("beforeunload", () => { freed = true; });
  addEventListener("pagehide", () => {
    if (freed || !finished) return;
    const { baseUrl, kernelId } = config();
    const form = new FormData();
    form.append("_xsrf", document.cookie.match("\\b_xsrf=([^;]*)")?.[1] ?? "");
    navigator.sendBeacon(`${baseUrl}voila/api/shutdown/${kernelId}`, form);
  });

  // Is the kernel behind this page still there, and does it still hear us?
  const kernel = async () => {
    const { baseUrl, kernelId } = config();
    try {
      const answer = await fetch(`${baseUrl}api/kernels/${kernelId}`, { cache: "no-store" });
      if (answer.status === 404 || answer.status === 403) return "ended"; // 403: a new server knows no old token
      return answer.ok && (await answer.json()).connections === 0 ? "deaf" : "well";
    } catch {
      return "silent";
    }
  };
  const end = () => {
    ended = true;
    say(ENDED);
  };
  // A kernel that another Jupyter server has restarted keeps its name, but has lost everything that the page shows.
  const hearRestarts = async () => {
    const manager = await window.jupyterapp?.widgetManagerPromise.promise;
    manager?.kernel.statusChanged.connect((_, status) => /restarting|dead/.test(status) && end());
  };
  const watch = () => {
    let before = "well";
    const look = async () => {
      if (ended) return;
      const now = await kernel();
      if (now === "ended") end();
      else if (ended) return;
      else if (now === "well") notice.hidden = !slow;
      else if (now === before) say(SILENT); // one miss may be a hiccup
      before = now;
      setTimeout(look, LOOK_EVERY);
    };
    look();
  };

  // The address holds the view as the kernel last heard of it; a sentence typed since then goes along.
  const again = () => {
    const typed = document.querySelector(".lens-sentence textarea")?.value;
    const query = new URLSearchParams(location.search);
    if (!typed || typed === query.get("text")) return location.reload();
    query.set("text", typed);
    const whole = `${location.pathname}?${query}${location.hash}`;
    if (whole.length > LONGEST_ADDRESS) return location.reload();
    history.replaceState(history.state, "", whole);
    location.reload();
  };
  notice.querySelector("button").addEventListener("click", async () => {
    if (!finished || (await kernel()) !== "silent") again();
    else say("Still no answer. Is lens running? Start it, then try again.");
  });
})();
