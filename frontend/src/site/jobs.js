// Orders work without leaving the page, and shows how far it is.

const ENDED = new Set(["done", "failed", "missed"]);

async function post(address) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { Accept: "application/json", "X-CSRF-Token": document.body.dataset.csrf ?? "" },
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error([body.detail, body.hint].filter(Boolean).join(" ") || `The server answered ${answer.status}.`);
  return body;
}

export function startActions() {
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-action]");
    if (!form) return;
    event.preventDefault();
    const button = form.querySelector("button");
    const said = form.querySelector("[role=status]");
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    said.textContent = "";
    try {
      const body = await post(form.getAttribute("action"));
      if (form.dataset.action === "report") {
        await follow(progressBefore(form), body.id);
      } else {
        said.textContent = `${body.quotes.length} quotes saved.`;
      }
    } catch (error) {
      said.textContent = error.message;
    } finally {
      button.removeAttribute("aria-busy");
      button.blur();
    }
  });
}

function progressBefore(form) {
  const shown = document.createElement("div");
  shown.className = "progress";
  shown.innerHTML = '<p><span>Report</span><span data-f="stage">waiting</span></p><progress max="1" value="0" aria-label="Report"></progress>';
  form.before(shown);
  return shown;
}

// Follows a job in `shown`, until it has ended.
function follow(shown, id) {
  shown.dataset.running = "";
  const stage = shown.querySelector('[data-f="stage"]');
  const bar = shown.querySelector("progress");
  return new Promise((resolve) => {
    const stream = new EventSource(`/api/v1/jobs/${encodeURIComponent(id)}/stream`);
    const end = () => {
      stream.close();
      delete shown.dataset.running;
      resolve();
    };
    stream.addEventListener("job", (event) => {
      const job = JSON.parse(event.data);
      const progress = job.progress ?? {};
      bar.value = progress.done ?? bar.value;
      stage.textContent = progress.text || progress.stage || (job.state === "due" ? "waiting" : "running");
      if (!ENDED.has(job.state)) return;
      end();
      if (job.state === "done") {
        bar.value = 1;
        const made = job.result?.report;
        if (made) {
          const link = document.createElement("a");
          link.href = `/reports/${encodeURIComponent(made)}`;
          link.textContent = "Open the report";
          stage.replaceChildren(link);
        } else stage.textContent = "done";
      } else {
        stage.textContent = job.error || job.state;
        bar.remove();
      }
    });
    stream.addEventListener("error", () => {
      if (stream.readyState === EventSource.CLOSED) {
        stage.textContent = "lost sight of it";
        end();
      }
    });
  });
}

export function watchJobs() {
  for (const shown of document.querySelectorAll("[data-job]")) {
    const { job } = shown.dataset;
    delete shown.dataset.job;
    follow(shown, job);
  }
}
