// Rates and percentiles from two answers of /v1/stats. Pure.

/** What each node delivered per second since the last time it said something else; null where that is not known yet. */
export class Rates {
  #seen = new Map();

  /** `nodes` as /v1/stats has them. Returns {perNode: Map(id → rate or null), total, latency: counts or null}. */
  update(nodes) {
    const perNode = new Map();
    const seen = new Map();
    let total = null;
    const latency = [];
    for (const node of nodes) {
      const before = this.#seen.get(node.id);
      const entry = before && node.measured_at <= before.at ? before : this.#entry(node, before);
      seen.set(node.id, entry);
      perNode.set(node.id, entry.rate);
      if (entry.rate !== null) total = (total ?? 0) + entry.rate;
      entry.latency.forEach((count, index) => (latency[index] = (latency[index] ?? 0) + count));
    }
    this.#seen = seen;
    return { perNode, total, latency: latency.some((count) => count > 0) ? latency : null };
  }

  #entry(node, before) {
    const entry = { at: node.measured_at, events: node.events_delivered, counts: node.latency_counts, rate: null, latency: [] };
    if (!before || entry.at - before.at < 500) return before && entry.at - before.at < 500 ? before : entry;
    entry.rate = Math.max(0, ((entry.events - before.events) * 1000) / (entry.at - before.at));
    entry.latency = entry.counts.map((count, index) => Math.max(0, count - before.counts[index]));
    return entry;
  }
}

/** The upper bound of the bucket that holds this share of the observations, in seconds; Infinity above the last bound. */
export function percentile(bounds, counts, share) {
  const wanted = share * counts.reduce((sum, count) => sum + count, 0);
  let passed = 0;
  for (const [index, count] of counts.entries()) {
    passed += count;
    if (count && passed >= wanted) return bounds[index] ?? Infinity;
  }
  return null;
}

export const milliseconds = (seconds) =>
  seconds === null ? "–" : seconds === Infinity ? "over 10 s" : seconds < 1 ? `${seconds * 1000} ms` : `${seconds} s`;

export const number = (value) => (value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString() : value.toFixed(1));

/** Time since a moment in ms, for people. */
export function since(moment, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - moment) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}
