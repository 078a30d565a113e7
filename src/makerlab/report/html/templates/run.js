"use strict";
(() => {
  const source = document.getElementById("episodes");
  const box = document.querySelector(".quotes");
  if (!source || !box) return;
  const episodes = JSON.parse(source.textContent);
  const canvas = box.querySelector(".canvas");
  const readout = box.querySelector(".readout");
  const choice = box.querySelector("select");
  const FEWEST = 8, TOP = 8, LEFT = 76, RIGHT = 10, GAP = 26, HELD = 90, FOOT = 24;
  let episode, from, to, cursor, width, height;

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const bars = () => episode.mid.length;
  const stamp = (bar) => new Date(episode.start + bar * episode.step).toISOString();
  const filled = (bar) => episode.bid_filled[bar] > 0 || episode.ask_filled[bar] > 0;
  const number = (value, digits) => (value === null || value === undefined ? "none" : value.toLocaleString("en-US", { maximumFractionDigits: digits }));

  const show = (low, high) => {
    const span = clamp(high - low, Math.min(FEWEST, bars()), bars());
    from = clamp(low, 0, bars() - span);
    to = from + span;
    draw();
  };
  const zoom = (factor, at) => {
    const span = clamp((to - from) * factor, Math.min(FEWEST, bars()), bars());
    const share = (at - from) / (to - from);
    show(at - share * span, at - share * span + span);
  };
  const move = (share) => show(from + share * (to - from), to + share * (to - from));
  const point = (bar) => {
    cursor = clamp(bar, 0, bars() - 1);
    const span = to - from;
    if (cursor < from || cursor + 1 > to) show(cursor - span / 2, cursor + span / 2);
    else draw();
  };
  const jump = (way) => {
    let bar = (cursor === null ? (way > 0 ? -1 : bars()) : cursor) + way;
    while (bar >= 0 && bar < bars() && !filled(bar)) bar += way;
    if (bar < 0 || bar >= bars()) return;
    cursor = bar;
    const span = Math.min(to - from, 60);
    show(bar - span / 2, bar + span / 2);
  };

  const range = (lists, low, high) => {
    let least = Infinity, most = -Infinity;
    for (const list of lists) {
      for (let bar = low; bar < high; bar += 1) {
        if (list[bar] === null || list[bar] === undefined) continue;
        least = Math.min(least, list[bar]);
        most = Math.max(most, list[bar]);
      }
    }
    if (least > most) [least, most] = [0, 1];
    const room = (most - least) * 0.06 || Math.abs(most) * 1e-4 || 1;
    return [least - room, most + room];
  };
  const steps = (low, high, count) => {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 2.5, 5, 10].find((each) => each * power >= raw * 0.999);
    const found = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) found.push(tick);
    return [found, Math.max(0, -Math.floor(Math.log10(step)) + (step / power === 2.5 ? 1 : 0))];
  };

  const draw = () => {
    width = Math.max(canvas.clientWidth, 280);
    height = width < 600 ? 400 : 480;
    const floor = height - FOOT - HELD - GAP, right = width - RIGHT;
    const first = Math.max(0, Math.floor(from) - 1), last = Math.min(bars(), Math.ceil(to) + 1);
    const x = (bar) => LEFT + ((bar - from) / (to - from)) * (right - LEFT);
    const [low, high] = range([episode.mid, episode.bid, episode.ask], first, last);
    const y = (price) => floor - ((price - low) / (high - low)) * (floor - TOP);
    const parts = [];

    const [prices, decimals] = steps(low, high, 8);
    for (const price of prices) {
      parts.push(`<path class="grid" d="M${LEFT} ${y(price).toFixed(1)}H${right}"/><text class="end" x="${LEFT - 6}" y="${(y(price) + 4).toFixed(1)}">${price.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals })}</text>`);
    }
    const count = clamp(Math.floor((right - LEFT) / 110), 2, 8);
    const every = Math.max(1, Math.ceil((to - from) / count));
    for (let bar = Math.ceil(from / every) * every; bar < to; bar += every) {
      const text = stamp(bar), whole = (to - from) * episode.step > 4 * 86400000;
      parts.push(`<path class="grid" d="M${x(bar).toFixed(1)} ${TOP}V${height - FOOT}"/><text${x(bar) > right - 75 ? ' class="end"' : ""} x="${(x(bar) + (x(bar) > right - 75 ? -2 : 2)).toFixed(1)}" y="${height - 8}">${whole ? text.slice(5, 10) : text.slice(5, 16).replace("T", " ")}</text>`);
    }

    // A quote lives for its whole bar; the close is the price at the bar's end.
    const stairs = (list) => {
      let data = "", pen = false;
      for (let bar = first; bar < last; bar += 1) {
        const value = list[bar];
        if (value === null || value === undefined) { pen = false; continue; }
        data += `${pen ? "L" : "M"}${x(bar).toFixed(1)} ${y(value).toFixed(1)}H${x(bar + 1).toFixed(1)}`;
        pen = true;
      }
      return data;
    };
    let close = "";
    for (let bar = first; bar < last; bar += 1) close += `${close ? "L" : "M"}${x(bar + 1).toFixed(1)} ${y(episode.mid[bar]).toFixed(1)}`;
    parts.push(`<clipPath id="inside"><path d="M${LEFT} 0H${right}V${height}H${LEFT}Z"/></clipPath><g clip-path="url(#inside)">`);
    parts.push(`<path class="q-close" d="${close}"/><path class="q-bid" d="${stairs(episode.bid)}"/><path class="q-ask" d="${stairs(episode.ask)}"/>`);
    for (let bar = first; bar < last; bar += 1) {
      if (episode.bid_filled[bar] > 0) parts.push(`<use class="mark k1 fill" href="#m2" x="${x(bar + 0.5).toFixed(1)}" y="${y(episode.bid[bar]).toFixed(1)}"/>`);
      if (episode.ask_filled[bar] > 0) parts.push(`<use class="mark k2 fill" href="#m4" x="${x(bar + 0.5).toFixed(1)}" y="${y(episode.ask[bar]).toFixed(1)}"/>`);
    }

    const ground = height - FOOT, roof = ground - HELD;
    const most = Math.max(...episode.inventory.map((held) => Math.abs(held || 0)), 1e-9);
    const h = (held) => (ground + roof) / 2 - (held / most) * (HELD / 2 - 4);
    let area = `M${x(first).toFixed(1)} ${h(0).toFixed(1)}`;
    for (let bar = first; bar < last; bar += 1) area += `V${h(episode.inventory[bar] || 0).toFixed(1)}H${x(bar + 1).toFixed(1)}`;
    parts.push(`<path class="q-held" d="${area}V${h(0).toFixed(1)}Z"/><path class="zero" d="M${LEFT} ${h(0).toFixed(1)}H${right}"/>`);
    if (cursor !== null) parts.push(`<path class="q-cursor" d="M${x(cursor + 0.5).toFixed(1)} ${TOP}V${ground}"/>`);
    parts.push("</g>");
    parts.push(`<text class="end" x="${LEFT - 6}" y="${h(most) + 8}">${number(most, 3)}</text><text class="end" x="${LEFT - 6}" y="${h(-most)}">${number(-most, 3)}</text><text x="${LEFT + 4}" y="${roof - 6}">position, base units</text>`);
    canvas.innerHTML = `<svg viewBox="0 0 ${width} ${height}" height="${height}" aria-hidden="true">${parts.join("")}</svg>`;
    tell();
  };

  const tell = () => {
    const shown = `Bars ${Math.floor(from) + 1} to ${Math.ceil(to)} of ${bars()}.`;
    if (cursor === null) { readout.textContent = shown; return; }
    const bar = cursor, done = [];
    if (episode.bid_filled[bar] > 0) done.push(`bought ${number(episode.bid_filled[bar], 4)} at ${number(episode.bid[bar], 6)}`);
    if (episode.ask_filled[bar] > 0) done.push(`sold ${number(episode.ask_filled[bar], 4)} at ${number(episode.ask[bar], 6)}`);
    const equity = episode.equity.length ? `, equity ${number(episode.equity[bar], 2)}` : "";
    readout.textContent = `${stamp(bar).slice(0, 19).replace("T", " ")} UTC, bar ${bar + 1}: bid ${number(episode.bid[bar], 6)}, close ${number(episode.mid[bar], 6)}, ask ${number(episode.ask[bar], 6)}; ${done.join(" and ") || "no fill"}; position ${number(episode.inventory[bar], 4)}${equity}. ${shown}`;
  };

  const at = (event) => {
    const place = canvas.getBoundingClientRect();
    const share = (event.clientX - place.left - LEFT) / (width - LEFT - RIGHT);
    return from + clamp(share, 0, 1) * (to - from);
  };
  const centre = () => (cursor !== null && cursor >= from && cursor < to ? cursor + 0.5 : (from + to) / 2);

  const actions = {
    in: () => zoom(0.5, centre()), out: () => zoom(2, centre()),
    left: () => move(-0.5), right: () => move(0.5),
    all: () => show(0, bars()), next: () => jump(1), previous: () => jump(-1),
  };
  box.querySelectorAll("button").forEach((button) => button.addEventListener("click", actions[button.dataset.do]));

  canvas.addEventListener("keydown", (event) => {
    const by = event.shiftKey ? null : 1;
    const keys = {
      "+": actions.in, "=": actions.in, "-": actions.out, Home: actions.all, n: actions.next, p: actions.previous,
      ArrowLeft: () => (by ? point(cursor === null ? Math.ceil(to) - 1 : cursor - 1) : move(-0.25)),
      ArrowRight: () => (by ? point(cursor === null ? Math.floor(from) : cursor + 1) : move(0.25)),
    };
    const action = keys[event.key] || keys[event.key.toLowerCase()];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });

  // The page scrolls over the chart until it is chosen by a click or by the keyboard.
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, at(event));
  }, { passive: false });

  let dragged = null, pinch = null;
  const touches = new Map();
  const apart = () => { const [a, b] = [...touches.values()]; return Math.abs(a.clientX - b.clientX) || 1; };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, event);
    dragged = { x: event.clientX, from, to };
    if (touches.size === 2) pinch = apart();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (touches.has(event.pointerId)) touches.set(event.pointerId, event);
    if (touches.size === 2) {
      const now = apart();
      zoom(pinch / now, at(event));
      pinch = now;
    } else if (dragged && touches.size === 1) {
      const shift = ((dragged.x - event.clientX) / (width - LEFT - RIGHT)) * (dragged.to - dragged.from);
      if (Math.abs(dragged.x - event.clientX) > 3) show(dragged.from + shift, dragged.to + shift);
    } else {
      cursor = clamp(Math.floor(at(event)), 0, bars() - 1);
      draw();
    }
  });
  const release = (event) => {
    if (dragged && touches.size === 1 && Math.abs(dragged.x - event.clientX) <= 3) { cursor = clamp(Math.floor(at(event)), 0, bars() - 1); draw(); }
    touches.delete(event.pointerId);
    dragged = null;
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);

  const open = (index) => { episode = episodes[index]; cursor = null; show(0, bars()); };
  episodes.forEach((each, index) => choice.add(new Option(each.name, index)));
  choice.addEventListener("change", () => open(Number(choice.value)));
  box.hidden = false;
  let pending = 0;
  new ResizeObserver(() => { cancelAnimationFrame(pending); pending = requestAnimationFrame(draw); }).observe(canvas);
  open(0);
})();

(() => {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")].filter((each) => each.querySelector("figure"));
    opened.forEach((each) => (each.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((each) => (each.open = false)));
})();
