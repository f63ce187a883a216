// Makes the pages live; nothing in it is needed to read one. Loaded before the page is drawn, so that a chosen theme shows at once.

import { startActions, watchJobs } from "./site/jobs.js";
import { startLive } from "./site/live.js";
import { applyTheme, followTheme, startTheme } from "./site/theme.js";

applyTheme();

document.addEventListener("DOMContentLoaded", () => {
  startTheme();
  startActions();
  watchJobs();
  startLive();
  startReference();
});

function startReference() {
  const place = document.getElementById("swagger");
  if (!place || !globalThis.SwaggerUIBundle) return;
  followTheme((dark) => document.documentElement.classList.toggle("dark-mode", dark));
  globalThis.SwaggerUIBundle({
    url: place.dataset.openapi,
    domNode: place,
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
  });
}
