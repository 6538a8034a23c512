/* Upload: files and folders by drag-and-drop, sent with a progress bar of the bytes sent. Without it the form sends itself. */
"use strict";
(() => {
  const units = ["bytes", "kB", "MB", "GB"];
  const sizeText = (size) => {
    let amount = size, unit = 0;
    while (amount >= 1000 && unit < 3) { amount /= 1000; unit += 1; }
    return unit ? `${amount.toFixed(1)} ${units[unit]}` : `${size} bytes`;
  };

  const start = () => {
    const form = document.getElementById("upload");
    if (!form) return;
    const part = (name) => form.querySelector(`[data-${name}]`);
    const input = form.querySelector('input[type="file"]');
    const drop = part("drop"), list = part("picked"), line = part("progress"), text = part("progress-text");
    const bar = line.querySelector("progress");
    const send = part("send");
    const problem = document.getElementById("upload-problem");
    const limit = Number(form.dataset.limit), mostFiles = Number(form.dataset.mostFiles);
    let picked = [];  // {file, path}
    let request = null;

    const complain = (message) => {
      problem.textContent = message;
      problem.hidden = !message;
      if (message) problem.scrollIntoView({ block: "nearest" });
    };
    const total = () => picked.reduce((sum, each) => sum + each.file.size, 0);
    const row = (each, index) => {
      const item = document.createElement("li");
      const name = document.createElement("span");
      name.className = "file-name";
      name.textContent = each.path;
      const size = document.createElement("span");
      size.className = "muted num";
      size.textContent = sizeText(each.file.size);
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "button small";
      remove.textContent = "remove";
      remove.setAttribute("aria-label", `Remove ${each.path}`);
      remove.addEventListener("click", () => {
        picked.splice(index, 1);
        show();
        (list.querySelector("button") || input).focus();
      });
      item.append(name, size, remove);
      return item;
    };
    const show = () => {
      const shown = picked.slice(0, 50).map(row);
      if (picked.length > 1) {
        const sum = document.createElement("li");
        sum.className = "muted";
        sum.textContent = `${picked.length} files, ${sizeText(total())}`;
        shown.push(sum);
      }
      list.replaceChildren(...shown);
      list.hidden = !picked.length;
      input.required = !picked.length;
      if (total() > limit) complain(`These files are ${sizeText(total())}; at most ${form.dataset.limitText} fit into one upload.`);
      else if (picked.length > mostFiles) complain(`These are ${picked.length} files; at most ${mostFiles} fit into one upload.`);
      else complain("");
    };
    const add = (found) => {
      const known = new Set(picked.map((each) => `${each.path} ${each.file.size}`));
      picked.push(...found.filter((each) => !known.has(`${each.path} ${each.file.size}`)));
      show();
    };

    // A dropped folder is walked; hidden files are left out, as import_logs does.
    const walk = async (entry, before) => {
      if (entry.name.startsWith(".")) return [];
      if (entry.isFile) {
        const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
        return [{ file, path: before + entry.name }];
      }
      const reader = entry.createReader();
      const found = [];
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) return found;
        for (const each of some) found.push(...await walk(each, `${before}${entry.name}/`));
      }
    };
    const dropped = async (transfer) => {
      const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
      if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
      const found = [];
      for (const entry of entries) found.push(...await walk(entry, ""));
      return found;
    };

    let inside = 0;
    drop.addEventListener("dragenter", () => { inside += 1; drop.dataset.over = "yes"; });
    drop.addEventListener("dragleave", () => { inside -= 1; if (!inside) delete drop.dataset.over; });
    // Beside the target a dropped file would replace the page.
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      inside = 0;
      delete drop.dataset.over;
      if (request || !event.dataTransfer) return;
      dropped(event.dataTransfer).then(add, () => complain("What was dropped cannot be read. Choose the files instead."));
    });
    input.addEventListener("change", () => {
      add([...input.files].map((file) => ({ file, path: file.name })));
      input.value = "";
    });

    const busy = (yes) => {
      line.hidden = !yes;
      send.disabled = yes;
      form.setAttribute("aria-busy", String(yes));
    };
    const failed = (message) => {
      request = null;
      busy(false);
      complain(message);
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (request || !picked.length || total() > limit || picked.length > mostFiles) return show();
      const data = new FormData();
      for (const field of form.querySelectorAll("input:not([type=file]), select")) if (field.name) data.append(field.name, field.value);
      for (const each of picked) {
        data.append("path", each.path);
        data.append("file", each.file, each.file.name);
      }
      request = new XMLHttpRequest();
      request.open("POST", form.action);
      request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
      request.upload.addEventListener("progress", (step) => {
        if (!step.lengthComputable) return;
        bar.value = (100 * step.loaded) / step.total;
        text.textContent = step.loaded < step.total ? `sent ${sizeText(step.loaded)} of ${sizeText(step.total)}` : "sent; the server stores it";
      });
      request.addEventListener("load", () => {
        let answer = {};
        try { answer = JSON.parse(request.responseText); } catch { /* an error page: said below */ }
        if (request.status === 201 && answer.job) location.assign(answer.job);
        else failed(answer.error ? answer.error.message : `The server answered ${request.status}. Nothing was imported; try again.`);
      });
      request.addEventListener("error", () => failed("The connection broke before everything was sent. Nothing was imported; try again."));
      request.addEventListener("abort", () => failed(""));
      complain("");
      bar.value = 0;
      text.textContent = "sending";
      busy(true);
      request.send(data);
    });
    part("cancel").addEventListener("click", () => { if (request) request.abort(); });
    addEventListener("beforeunload", (event) => { if (request && request.readyState < 4) event.preventDefault(); });
  };
  document.addEventListener("DOMContentLoaded", start);
})();
