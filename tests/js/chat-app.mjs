// An application with a chat, as the AI SDK's own pages show it: nothing in it knows of the gateway.

import { useChat } from "@ai-sdk/react";
import { createElement as h } from "react";
import { createRoot } from "react-dom/client";

const chat = new URLSearchParams(location.search).get("chat");

function Chat() {
  const { messages, sendMessage, status, error, resumeStream } = useChat({ id: chat, resume: true });
  const ask = () => sendMessage({ text: "How does this survive? Slowly, please." });
  return h(
    "main",
    null,
    ...messages.map(({ id, role, parts }) =>
      h(
        "article",
        { key: id, className: role },
        parts.map((part, at) => h("p", { key: at, className: part.type }, part.text ?? "")),
      ),
    ),
    h("output", null, status),
    h("strong", null, error?.message ?? ""),
    h("button", { onClick: ask }, "Ask"),
    h("button", { id: "again", onClick: () => resumeStream() }, "Go on"),
  );
}

createRoot(document.getElementById("root")).render(h(Chat));
