"use strict";
// Shows how far jobs have come, every few seconds while the page is in sight. Without it the page says the same when it is
// loaded again. A look is no use of the session: when that has ended, the page goes away too.
(function () {
  const table = document.querySelector("[data-progress]");
  if (!table) return;
  const EVERY_MS = 3000;
  const show = function (job) {
    const row = table.querySelector('[data-job="' + job.name + '"]');
    if (!row) return;
    const text = row.querySelector("[data-text]");
    if (text && text.textContent !== job.text) text.textContent = job.text;
    const bar = row.querySelector("progress");
    if (bar) {
      bar.hidden = job.share === null;
      if (job.share !== null) bar.value = job.share;
    }
    row.querySelectorAll("[data-while]").forEach(function (part) {
      part.hidden = (part.dataset.while === "running") !== job.running;
    });
  };
  const look = function () {
    if (document.hidden) return;
    fetch("/jobs/progress", { credentials: "same-origin" }).then(function (answer) {
      if (answer.status === 401) return void location.assign("/log-on");
      return answer.ok ? answer.json().then(function (told) { told.jobs.forEach(show); }) : undefined;
    }).catch(function () {});
  };
  setInterval(look, EVERY_MS);
})();
