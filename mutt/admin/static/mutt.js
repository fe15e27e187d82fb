// What the dashboard does beyond plain HTML. Every page works without it.
"use strict";
(() => {
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));

  // Times are in UTC; the title says when that was here.
  function localTimes(root) {
    for (const time of all("time[datetime]", root)) {
      const moment = new Date(time.dateTime);
      if (!Number.isNaN(moment.getTime())) time.title = moment.toLocaleString() + " local time";
    }
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  const charts = new Map();

  function drawCharts(root) {
    if (typeof Chart === "undefined") return;
    for (const [canvas, chart] of charts) {
      if (!canvas.isConnected || (root && root.contains(canvas))) { chart.destroy(); charts.delete(canvas); }
    }
    for (const canvas of all("canvas[data-chart]", root)) {
      const data = JSON.parse(canvas.dataset.chart);
      charts.set(canvas, new Chart(canvas, {
        type: "bar",
        data: { labels: data.labels, datasets: [{ label: data.title, data: data.data, backgroundColor: colour("--accent") }] },
        options: {
          animation: false, responsive: true, maintainAspectRatio: false,
          plugins: { legend: { display: false } },
          scales: {
            x: { ticks: { color: colour("--muted"), maxRotation: 0, autoSkipPadding: 12 }, grid: { display: false } },
            y: { beginAtZero: true, ticks: { color: colour("--muted") }, grid: { color: colour("--line") },
                 title: { display: true, text: data.unit, color: colour("--muted") } },
          },
        },
      }));
    }
  }

  // Copying a command, selecting all of a list, asking before what cannot be taken back, reading a file into a field.
  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const text = document.getElementById(copy.dataset.copy).textContent;
      navigator.clipboard.writeText(text).then(() => { copy.textContent = "copied"; }, () => { copy.textContent = "select it and copy"; });
    }
    const asked = event.target.closest("[data-confirm]");
    if (asked && !window.confirm(asked.dataset.confirm)) event.preventDefault();
  });
  document.addEventListener("change", (event) => {
    const boxes = event.target.dataset.all;
    if (boxes) for (const box of all(`input[name="${boxes}"]`)) box.checked = event.target.checked;
    const into = event.target.dataset.into;
    if (into && event.target.files[0]) {
      event.target.files[0].text().then((text) => { document.getElementById(into).value = text; });
    }
  });

  // A backtest tells how far it is, line by line; the last line brings the result as a page would show it.
  async function follow(form, button) {
    const place = document.getElementById("backtest");
    const bar = document.createElement("progress");
    const words = document.createElement("p");
    words.setAttribute("role", "status");
    bar.setAttribute("aria-label", "backtest");
    bar.max = 1;
    words.textContent = "Reading the audit log …";
    place.replaceChildren(words, bar);
    place.scrollIntoView({ block: "nearest" });
    button.disabled = true;
    try {
      const answer = await fetch(button.formAction, {
        method: "POST", body: new URLSearchParams(new FormData(form, button)),
        headers: { Accept: "application/x-ndjson", "X-CSRF-Token": form.elements.csrf.value },
      });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        rest += value || "";
        const lines = rest.split("\n");
        rest = lines.pop();
        for (const line of lines) {
          const told = JSON.parse(line);
          if (told.html !== undefined) {
            place.innerHTML = told.html;
            localTimes(place);
          } else {
            bar.value = told.of ? told.events / told.of : 0;
            words.textContent = `${told.events.toLocaleString("en")} of ${told.of.toLocaleString("en")} events judged, ${told.seconds.toFixed(1)} s`;
          }
        }
        if (done) break;
      }
    } catch (error) {
      words.textContent = "The connection was lost before the result came; try again.";
      words.className = "problem";
    } finally {
      button.disabled = false;
    }
  }
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button && button.dataset.follow !== undefined && document.getElementById("backtest")) {
      event.preventDefault();
      follow(event.target, button);
    }
  });

  // Figures that refresh themselves: not while hidden or while text in them is selected, and never silently old.
  const stale = () => document.getElementById("stale");
  document.addEventListener("htmx:beforeRequest", (event) => {
    const selection = document.getSelection();
    const selecting = selection && !selection.isCollapsed && event.detail.target.contains(selection.anchorNode);
    if (document.hidden || selecting) event.preventDefault();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (stale()) stale().hidden = event.detail.successful;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const live = document.getElementById("live");
    localTimes(live || event.detail.elt);
    drawCharts(live || event.detail.elt);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawCharts(document.body));

  localTimes();
  drawCharts();
})();
