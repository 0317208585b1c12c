// One event as users see it.

/** The event that was parsed; a native one is taken out of its envelope. */
export function unwrapped({ type, data: raw, lastEventId: id }, native) {
  let data = raw;
  try {
    data = JSON.parse(raw);
  } catch {
    // Text is data, too.
  }
  if (native && type === "message" && typeof data?.channel === "string" && typeof data.type === "string") {
    const { channel, seq, epoch, time, traceparent } = data;
    const event = { type: data.type, data: data.data, raw, id, channel, seq, epoch, time };
    if (traceparent !== undefined) event.traceparent = traceparent;
    return event;
  }
  return { type, data, raw, id };
}
