// The form that publishes an event to one client, to the chosen ones, or to everybody.
import { $, clock, tell } from "./ui.js";

export function sending(ask, clients) {
  const show = () => {
    const to = $("to").value;
    $("one-field").hidden = to !== "one";
    $("one").required = to === "one";
    const many = clients.chosen.size;
    const names = [...clients.chosen].slice(0, 5).join(", ") + (many > 5 ? " …" : "");
    tell($("chosen-info"), to !== "chosen" ? "" : many ? `${many} chosen: ${names}` : "Nobody is chosen yet: tick some rows of the table.");
  };
  $("to").addEventListener("change", show);
  clients.onChoice = () => {
    if (clients.chosen.size) $("to").value = "chosen";
    show();
  };
  clients.onPick = (name) => {
    $("to").value = "one";
    $("one").value = name;
    show();
    $("data").focus();
  };
  $("send").addEventListener("submit", async (event) => {
    event.preventDefault();
    tell($("sent"));
    tell($("send-problem"));
    try {
      const { said, heard = true } = await send(ask, clients);
      $("sent").className = `notice ${heard ? "good" : "warn"}`;
      tell($("sent"), `${said} (${clock()})`);
    } catch (error) {
      tell($("send-problem"), `Not sent. ${error.message}`);
    }
  });
  show();
}

async function send(ask, clients) {
  let data;
  try {
    data = JSON.parse($("data").value);
  } catch {
    throw new Error('The data is not JSON: text needs quotes, as in "Hello", and names too, as in {"message": "Hello"}.');
  }
  const to = $("to").value;
  const names = to === "one" ? [$("one").value.trim()] : [...clients.chosen];
  if (to !== "everybody" && !names.length) throw new Error("Nobody is chosen: tick some rows of the table.");
  const channels = to === "everybody" ? ["broadcast"] : names.map((name) => `client:${name}`);
  const type = $("type").value.trim();
  const events = channels.map((channel) => ({ channel, type, data }));
  const { receipts } = await ask("v1/events", { method: "POST", body: events.length === 1 ? events[0] : events });
  if (to === "everybody") return { said: `Sent to everybody: number ${receipts[0].seq} of broadcast.` };
  if (names.length > 1) return { said: `Sent to ${names.length} clients.` };
  const said = `Sent to ${names[0]}: event ${receipts[0].seq} on ${channels[0]}.`;
  // It is sent, whatever this question comes to.
  const heard = await clients.has(names[0]).catch(() => true);
  return { said: heard ? said : `${said} Nobody is listening there now: a page that comes back gets it, a new one does not.`, heard };
}
