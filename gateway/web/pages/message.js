// One answer as a message: its text, what it was thought, which tools were called, and how it ended.
import { h } from "./ui.js";

const ENDS = { failed: "bad", cancelled: "warn" };

/** What a part shows; null for what is no sight. */
function partView(part) {
  switch (part.type) {
    case "text":
      return h("p", { class: "words" }, part.text);
    case "reasoning":
      return h("p", { class: "words soft thought" }, part.text);
    case "tool-input-available":
      return h("p", { class: "tool" }, h("span", { class: "tag" }, part.toolName), " ", h("code", {}, JSON.stringify(part.input)));
    case "tool-output-available":
      return h("p", { class: "tool" }, h("span", { class: "tag" }, "answer"), " ", h("code", {}, JSON.stringify(part.output)));
    case "source-url":
      return h("p", { class: "tool soft" }, `Source: ${part.title ?? part.url}`);
    default:
      return null;
  }
}

/** A message that shows an answer again and again; what stands already is left alone. */
export function messageView() {
  const body = h("div", { class: "body" }, h("p", { class: "soft waiting" }, "…"));
  const end = h("p", { class: "hint" });
  const element = h("li", { class: "theirs" }, h("span", { class: "hidden" }, "Answer: "), body, end);
  const views = [];
  const view = { element, status: null };

  view.show = (answer) => {
    view.status = answer.status;
    const parts = answer.parts ?? [];
    parts.forEach((part, index) => {
      const shown = views[index];
      if (shown === undefined) {
        views[index] = partView(part);
        if (views[index]) body.append(views[index]);
      } else if (shown && part.text !== undefined && shown.textContent !== part.text) shown.textContent = part.text;
    });
    body.querySelector(".waiting")?.toggleAttribute("hidden", parts.length > 0);
    element.setAttribute("aria-busy", String(!(answer.status in ENDS) && answer.status !== "completed"));
    end.className = `hint ${ENDS[answer.status] ?? ""}`;
    end.textContent = answer.status === "cancelled" ? "Stopped." : answer.status === "failed" ? (answer.error?.message ?? "It failed.") : "";
  };
  view.gone = (sentence) => {
    body.querySelector(".waiting")?.remove();
    end.textContent = sentence;
  };
  return view;
}
